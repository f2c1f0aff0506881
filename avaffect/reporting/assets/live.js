// Of `avaffect view`: looks every two seconds whether something is new, and shows it.
let known = null, asking = false;

async function look() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch("state", { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const state = await answer.text();
    root.dataset.connected = "true";
    if (known !== null && state !== known) await renew();
    known = state;
  } catch {
    root.dataset.connected = "false";
  }
  asking = false;
}

async function renew() {
  const text = await (await fetch("./", { cache: "no-store" })).text();
  const fresh = new DOMParser().parseFromString(text, "text/html");
  if (fresh.querySelectorAll("[data-gaps]").length !== all("[data-gaps]").length) {
    location.reload();
    return;
  }
  byId("running").innerHTML = fresh.getElementById("running").innerHTML;
  document.querySelector(".facts").innerHTML = fresh.querySelector(".facts").innerHTML;
  for (const body of all("tbody[data-part]")) {
    body.innerHTML = fresh.querySelector(`tbody[data-part="${body.dataset.part}"]`).innerHTML;
  }
}

setInterval(look, 2000);
document.addEventListener("visibilitychange", look);
look();
