# A server, on processors (the last stage, so the default) or on NVIDIA GPUs (`--target gpu`):
#
#   docker build -t glimpse .
#   docker run --rm --read-only --tmpfs /tmp -e GLIMPSE_INSECURE=1 -p 127.0.0.1:50051:50051 -v glimpse:/data glimpse
#
# It listens on every address of the container, and so does not start unless it is told how: with GLIMPSE_TLS_CERT and
# GLIMPSE_TLS_KEY (files of a mounted volume), or with GLIMPSE_INSECURE=1, where nobody else reaches the port: published
# on the loopback interface as above, or in a network of its own. The image sets neither. BuildKit builds it.
#
# The base is pinned by its tag; to pin it by digest as well, put what `docker buildx imagetools inspect
# python:3.13-slim-bookworm` says behind it: @sha256:….

FROM python:3.13-slim-bookworm AS base
ENV PATH=/opt/glimpse/bin:$PATH
RUN python -m venv /opt/glimpse

# What it stands on comes before its sources: it changes seldom and weighs most. A distribution without any sources
# brings it, and is taken away again. pyproject.toml says from which version on; a build takes the newest.
FROM base AS requirements
WORKDIR /src
COPY pyproject.toml ./
RUN mkdir -p proto/glimpse client/glimpse server/glimpse index/glimpse export/glimpse && touch README.md LICENSE

FROM requirements AS cpu-requirements
# hadolint ignore=DL3013
RUN pip install --no-cache-dir '.[server,postgres,otel]' && pip uninstall --yes glimpse-fewshot

# ONNX Runtime's CUDA 13 and cuDNN 9, and FAISS's CUDA 12, come as Python packages, 4 GB: a base with a CUDA of its own
# would bring one of the two twice. The driver (580 or later) is the host's, by NVIDIA's container toolkit.
FROM requirements AS gpu-requirements
# hadolint ignore=DL3013
RUN pip install --no-cache-dir '.[gpu,postgres,otel]' && pip uninstall --yes glimpse-fewshot

FROM base AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY proto proto
COPY client client
COPY server server
COPY index index
COPY export export
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim-bookworm AS runtime
# A number, so that a cluster can tell that it is not root (runAsNonRoot).
RUN useradd --no-create-home --home-dir /data --uid 10001 --user-group glimpse && install -d -o 10001 -g 10001 /data /indexes
# All that is written at run time lies in /data: the ledger, snapshots and, where a provider keeps kernels, its cache; and
# in /indexes where indexes have a volume of their own (GLIMPSE_INDEXES=/indexes), that several servers share.
ENV PATH=/opt/glimpse/bin:$PATH \
    GLIMPSE_DATA=/data \
    GLIMPSE_LISTEN=0.0.0.0:50051 \
    XDG_CACHE_HOME=/data/cache \
    CUDA_CACHE_PATH=/data/cache/cuda \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /data
VOLUME /data
EXPOSE 50051
STOPSIGNAL SIGTERM
# A large ledger without a snapshot takes minutes to load; a check that passes ends the start at once.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30m CMD ["python", "-m", "glimpse.server.monitoring.probe"]
ENTRYPOINT ["glimpse", "serve"]
LABEL org.opencontainers.image.title="Glimpse" \
      org.opencontainers.image.description="Few-shot classification on frozen backbones, over gRPC" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-bookworm"

FROM runtime AS gpu
COPY --from=gpu-requirements /opt/glimpse /opt/glimpse
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir --no-deps /wheels/*.whl
# What NVIDIA's container toolkit looks at.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$REVISION
USER 10001:10001

FROM runtime AS cpu
COPY --from=cpu-requirements /opt/glimpse /opt/glimpse
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir --no-deps /wheels/*.whl
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$REVISION
USER 10001:10001
