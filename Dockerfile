# A server for CPUs (the last stage, so the default) or for NVIDIA GPUs (`--target gpu`):
#
#   docker build -t glimpse .
#   docker run --rm --read-only --tmpfs /tmp -e GLIMPSE_INSECURE=1 -p 127.0.0.1:50051:50051 -v glimpse:/data glimpse
#
# It listens on every address of the container, so it needs one of two settings to start: GLIMPSE_TLS_CERT and
# GLIMPSE_TLS_KEY (files of a mounted volume), or GLIMPSE_INSECURE=1 if nobody else reaches the port: publish it on the
# loopback interface as above, or use a separate network. The image sets neither. Build it with BuildKit.
#
# The base is pinned by its tag. To pin the digest too, append the one that `docker buildx imagetools inspect
# python:3.13-slim-bookworm` prints: @sha256:….

FROM python:3.13-slim-bookworm AS base
ENV PATH=/opt/glimpse/bin:$PATH
RUN python -m venv /opt/glimpse

# Dependencies are installed before the sources are copied, because they rarely change and are the largest layer. An
# empty distribution brings them, and is removed again. pyproject.toml has the oldest versions; a build takes the newest.
FROM base AS requirements
WORKDIR /src
COPY pyproject.toml ./
RUN mkdir -p proto/glimpse client/glimpse server/glimpse index/glimpse export/glimpse && touch README.md LICENSE

FROM requirements AS cpu-requirements
# hadolint ignore=DL3013
RUN pip install --no-cache-dir '.[server,http,index,postgres,otel]' && pip uninstall --yes glimpse-fewshot

# CUDA 13 and cuDNN 9 for ONNX Runtime, and CUDA 12 for FAISS, come as Python packages, 4 GB. A base image with CUDA
# would contain one of the two twice. The driver (580 or later) is the host's, by NVIDIA's container toolkit.
FROM requirements AS gpu-requirements
# hadolint ignore=DL3013
RUN pip install --no-cache-dir '.[gpu,http,index,postgres,otel]' && pip uninstall --yes glimpse-fewshot

FROM base AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY proto proto
COPY client client
COPY server server
COPY index index
COPY export export
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

# The Python packages of an image as CycloneDX: `docker build --target cpu-sbom --output dist .`, or gpu-sbom.
FROM base AS sbom-tool
# hadolint ignore=DL3013
RUN python -m venv /opt/cyclonedx && /opt/cyclonedx/bin/pip install --no-cache-dir 'cyclonedx-bom>=7'

FROM sbom-tool AS cpu-packages
COPY --from=cpu-requirements /opt/glimpse /opt/glimpse
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir --no-deps /wheels/*.whl \
    && mkdir /sbom \
    && /opt/cyclonedx/bin/cyclonedx-py environment /opt/glimpse/bin/python --output-reproducible \
        --of JSON -o /sbom/glimpse-image.cdx.json

FROM scratch AS cpu-sbom
COPY --from=cpu-packages /sbom /

FROM sbom-tool AS gpu-packages
COPY --from=gpu-requirements /opt/glimpse /opt/glimpse
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir --no-deps /wheels/*.whl \
    && mkdir /sbom \
    && /opt/cyclonedx/bin/cyclonedx-py environment /opt/glimpse/bin/python --output-reproducible \
        --of JSON -o /sbom/glimpse-image.cdx.json

FROM scratch AS gpu-sbom
COPY --from=gpu-packages /sbom /

FROM python:3.13-slim-bookworm AS runtime
# USER is a number, so that a cluster can verify that it is not root (runAsNonRoot).
RUN useradd --no-create-home --home-dir /data --uid 10001 --user-group glimpse && install -d -o 10001 -g 10001 /data /indexes
# The server writes to /data only: the ledger, snapshots, and the cache of a provider that keeps kernels. Indexes that
# several servers share have a volume of their own, /indexes (GLIMPSE_INDEXES=/indexes).
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
# A large ledger without a snapshot takes minutes to load. The first check that passes ends the start period.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30m CMD ["python", "-m", "glimpse.server.monitoring.probe"]
ENTRYPOINT ["glimpse", "serve"]
LABEL org.opencontainers.image.title="Glimpse" \
      org.opencontainers.image.description="Few-shot classification on frozen backbones, over gRPC" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-bookworm"

FROM runtime AS gpu
COPY --from=gpu-requirements /opt/glimpse /opt/glimpse
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir --no-deps /wheels/*.whl
# NVIDIA's container toolkit reads these.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
ARG VERSION=dev
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=unknown
LABEL org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.created=$CREATED \
      org.opencontainers.image.source=$SOURCE
USER 10001:10001

FROM runtime AS cpu
COPY --from=cpu-requirements /opt/glimpse /opt/glimpse
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir --no-deps /wheels/*.whl
ARG VERSION=dev
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=unknown
LABEL org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.created=$CREATED \
      org.opencontainers.image.source=$SOURCE
USER 10001:10001
