# syntax=docker/dockerfile:1
# docker build -f packaging/docker/cuda.Dockerfile -t avaffect:cuda .
# docker run --rm --gpus all -v "$PWD:/data" --user "$(id -u):$(id -g)" avaffect:cuda train --device cuda ...
#
# torch brings CUDA's libraries itself, so that no image of NVIDIA's is needed: the driver alone, which
# the NVIDIA Container Toolkit gives to the container. Those libraries are NVIDIA's: see docs/licences.md
# before you pass the image on.
FROM python:3.12.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/avaffect
WORKDIR /src
COPY . .
RUN /opt/avaffect/bin/pip install --no-cache-dir --constraint constraints.txt ".[train,features]"
# In place of onnxruntime, which computes on the CPU: both are the module onnxruntime.
RUN /opt/avaffect/bin/pip uninstall --yes onnxruntime \
    && /opt/avaffect/bin/pip install --no-cache-dir --constraint constraints.txt "onnxruntime-gpu>=1.18"
RUN AVAFFECT_CACHE=/opt/weights /opt/avaffect/bin/avaffect models fetch

FROM python:3.12.12-slim-bookworm
COPY --from=build /opt/avaffect /opt/avaffect
RUN useradd --uid 1000 --create-home avaffect
COPY --from=build --chown=avaffect:avaffect --chmod=a+rwX /opt/weights /opt/weights
ENV PATH=/opt/avaffect/bin:$PATH \
    AVAFFECT_CACHE=/opt/weights \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    PYTHONUNBUFFERED=1
USER avaffect
WORKDIR /data
ENTRYPOINT ["avaffect"]
CMD ["--help"]
