# Two images of the same code.
#
#   docker build --target cpu -t detection:cpu .
#   docker build --target gpu -t detection:gpu .
#   docker run --rm --gpus all --ipc=host -v /data:/data -v /results:/results \
#       detection:gpu bash examples/SSD320_FP16_8GPU.sh /results/SSD320
#
# Nothing is fetched at run time: `docker run --network none` works.

FROM python:3.11-slim-bookworm AS cpu
# Debian keeps one version of a package at a time.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        cmake g++ libopenmpi-dev make openmpi-bin openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 detection \
    && install --directory --owner=detection /workdir
USER 1000
WORKDIR /workdir
COPY --chown=detection . .
RUN make horovod EXTRAS=cpu,sweep,video
ENV PATH=/workdir/.venv/bin:$PATH
CMD ["bash"]

# NVIDIA's last image with TensorFlow 2: 2.17, with Horovod and NCCL.
FROM nvcr.io/nvidia/tensorflow:25.02-tf2-py3 AS gpu
WORKDIR /workdir
COPY . .
# The image's own TensorFlow, NumPy and Horovod stay.
RUN PIP_CONSTRAINT='' python -m pip install --no-cache-dir \
        --upgrade-strategy only-if-needed 'numpy<2' --editable '.[sweep]' \
    && python -c 'import horovod.tensorflow, object_detection' \
    && useradd --create-home --uid 1001 detection
USER 1001
CMD ["bash"]
