# syntax=docker/dockerfile:1
# docker build -f packaging/docker/cpu.Dockerfile -t avaffect .
# docker run --rm --network none -v "$PWD:/data" --user "$(id -u):$(id -g)" avaffect predict video.mp4 -o out
FROM python:3.12.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/avaffect
WORKDIR /src
COPY . .
RUN /opt/avaffect/bin/pip install --no-cache-dir --constraint constraints.txt .
# The weights that `predict` and `preprocess` need: the container runs without a network.
RUN AVAFFECT_CACHE=/opt/weights /opt/avaffect/bin/avaffect models fetch

FROM python:3.12.12-slim-bookworm
COPY --from=build /opt/avaffect /opt/avaffect
RUN useradd --uid 1000 --create-home avaffect
# Whoever runs it may add weights and what is made from them.
COPY --from=build --chown=avaffect:avaffect --chmod=a+rwX /opt/weights /opt/weights
ENV PATH=/opt/avaffect/bin:$PATH \
    AVAFFECT_CACHE=/opt/weights \
    PYTHONUNBUFFERED=1
USER avaffect
WORKDIR /data
ENTRYPOINT ["avaffect"]
CMD ["--help"]
