# docker build -t glimpse . && docker run --rm -p 127.0.0.1:50051:50051 -v glimpse:/data glimpse
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY proto proto
COPY client client
COPY server server
COPY index index
COPY export export
RUN python -m venv /opt/glimpse && /opt/glimpse/bin/pip install --no-cache-dir '.[server]'

FROM python:3.13-slim
RUN useradd --create-home --uid 1000 glimpse && install -d -o glimpse /data
COPY --from=build /opt/glimpse /opt/glimpse
ENV PATH=/opt/glimpse/bin:$PATH GLIMPSE_DATA=/data GLIMPSE_LISTEN=0.0.0.0:50051 PYTHONUNBUFFERED=1
USER glimpse
VOLUME /data
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["glimpse", "status", "--format", "json"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["glimpse", "serve"]
