"""What an archive takes: nodes, days, disk, network, requests; from rates that were measured.

    python benchmarks/scale.py [--hours 1e6] [--days 30] [--cores 64] ...

Every figure of docs/scale.md comes from here. What is printed behind each is how it was found.
Prices are the reader's own: without them no money is printed.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Rates:
    """What goes in. The defaults are those of docs/speed.md and docs/scale.md, one face.

    Attributes:
        hours: of video.
        clip_minutes: length of a video, the mean.
        fps: frames a second of video.
        cpu_ms: CPU time of a frame, ms.
        start_s: CPU time to start on a video, s.
        cores: of a node; ``busy``: the share of them that works.
        days: in which it is to be done.
        bitrate: of the videos, Mbit/s.
        memory_mb: of a process that keeps ``process_cores`` busy.
        table_bytes, feature_bytes, crop_bytes: a frame, see docs/scale.md.
        wav_bytes: a second of sound.
        part_mb: of a request that reads.
        puts, lists, heads: requests of `predict` for a video, counted at a local server.
        page_kb: of the report, a video.
        price_core_hour, price_gb_month, price_gb_read, price_put, price_get: your own; of
            1,000 requests that write or list, and of 1,000 others.
    """

    hours: float = 1e6
    clip_minutes: float = 20.0
    fps: float = 25.0
    cpu_ms: float = 13.7
    start_s: float = 1.2
    cores: float = 64.0
    busy: float = 0.9
    days: float = 30.0
    bitrate: float = 2.0
    memory_mb: float = 337.0
    process_cores: float = 1.64
    table_bytes: float = 1037.0
    feature_bytes: float = 4519.0
    crop_bytes: float = 6391.0
    wav_bytes: float = 32000.0
    part_mb: float = 33.55
    puts: float = 8.0
    lists: float = 9.0
    heads: float = 18.0
    page_kb: float = 150.0
    price_core_hour: float = 0.0
    price_gb_month: float = 0.0
    price_gb_read: float = 0.0
    price_put: float = 0.0
    price_get: float = 0.0


@dataclass(frozen=True)
class Line:
    """A figure, its unit, and how it was found."""

    what: str
    value: float
    unit: str
    how: str


def arithmetic(rates: Rates) -> list[Line]:
    """All figures, those that others need first."""
    videos = rates.hours * 60 / rates.clip_minutes
    frames = rates.hours * 3600 * rates.fps
    core_hours = (frames * rates.cpu_ms / 1000 + videos * rates.start_s) / 3600
    nodes = core_hours / (rates.cores * rates.busy * rates.days * 24)
    read_gb = rates.hours * 3600 * rates.bitrate / 8 / 1000
    tables = frames * rates.table_bytes / 1e9
    features = (frames * rates.feature_bytes + rates.hours * 3600 * rates.wav_bytes) / 1e9
    crops = frames * rates.crop_bytes / 1e9
    # The last part of a video is half a part, on average.
    gets = read_gb * 1000 / rates.part_mb + videos / 2
    puts, lists, heads = (videos * each for each in (rates.puts, rates.lists, rates.heads))
    lines = [
        Line("videos", videos, "", "hours x 60 / clip_minutes"),
        Line("frames", frames / 1e9, "billion", "hours x 3600 x fps"),
        Line("CPU time", core_hours, "core hours", "frames x cpu_ms + videos x start_s"),
        Line(f"nodes for {rates.days:g} days", nodes, "", "core hours / (cores x busy x hours)"),
        Line("days on one node", nodes * rates.days, "", "nodes x days"),
        Line(
            "processes a node", rates.cores / rates.process_cores, "", "cores / cores of a process"
        ),
        Line(
            "memory a node",
            rates.cores / rates.process_cores * rates.memory_mb / 1000,
            "GB",
            "processes x memory_mb",
        ),
        Line("read", read_gb / 1000, "TB", "hours x 3600 x bitrate / 8"),
        Line("read an hour of video", read_gb / rates.hours, "GB", "3600 x bitrate / 8"),
        Line(
            "network, all nodes",
            read_gb * 8 / (rates.days * 86400),
            "Gbit/s",
            "read / days, if it never pauses",
        ),
        Line("kept by predict", tables / 1000, "TB", "frames x table_bytes"),
        Line("kept by preprocess: features", features / 1000, "TB", "frames x feature_bytes, wav"),
        Line("kept by preprocess: crops", crops / 1000, "TB", "frames x crop_bytes"),
        Line("requests that read", gets / 1e6, "million", "read / part_mb + half a video"),
        Line("requests that write", puts / 1e6, "million", "videos x puts"),
        Line("requests that list", lists / 1e6, "million", "videos x lists"),
        Line("requests that look", heads / 1e6, "million", "videos x heads"),
        Line("crops as objects", frames / 1e6, "million", "a frame each"),
        Line("one report over all", videos * rates.page_kb / 1e6, "GB", "videos x page_kb"),
    ]
    return lines + money(rates, core_hours, read_gb, tables, puts + lists, gets + heads)


def money(
    rates: Rates, core_hours: float, read_gb: float, tables_gb: float, puts: float, gets: float
) -> list[Line]:
    """What it costs, by the reader's prices; nothing for those that are not given."""
    found = [
        Line("CPU", core_hours * rates.price_core_hour, "", "core hours x price_core_hour"),
        Line("reading", read_gb * rates.price_gb_read, "", "GB x price_gb_read"),
        Line("keeping, a month", tables_gb * rates.price_gb_month, "", "GB x price_gb_month"),
        Line(
            "writes and lists", puts / 1000 * rates.price_put, "", "requests / 1,000 x price_put"
        ),
        Line("reads and looks", gets / 1000 * rates.price_get, "", "requests / 1,000 x price_get"),
    ]
    return [replace(line, what=f"cost: {line.what}") for line in found if line.value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in Rates.__dataclass_fields__:
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=float, default=getattr(Rates(), name)
        )
    lines = arithmetic(Rates(**vars(parser.parse_args())))
    print("| | | how |")
    print("|---|---|---|")
    for line in lines:
        digits = 1 if line.value < 100 else 0
        print(f"| {line.what} | {f'{line.value:,.{digits}f} {line.unit}'.strip()} | {line.how} |")


if __name__ == "__main__":
    main()
