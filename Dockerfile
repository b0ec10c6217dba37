# One image for every service of the product; the command says which.
# Pinned by release; a build that must be the same to the bit gives a digest: --build-arg PYTHON_IMAGE=python@sha256:…
ARG PYTHON_IMAGE=python:3.13.9-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY requirements.lock pyproject.toml README.md dagster.yaml workspace.yaml ./
COPY bulk_pipeline bulk_pipeline
COPY sql sql
# The lock file's versions, without the embedded servers and the tools that only developers need. Whatever is installed
# must have a hash of the lock file: uv, which pip compares, then the build's tools and the packages, which uv does.
RUN python -m venv /opt/bulk-pipeline \
    && sed -n '/^uv==/,/[^\\]$/p' requirements.lock > uv.txt \
    && pip install --no-cache-dir --require-hashes --requirement uv.txt \
    && uv pip install --no-cache --python /opt/bulk-pipeline/bin/python \
        --constraints requirements.lock --build-constraints requirements.lock '.[notify]'

FROM ${PYTHON_IMAGE}
RUN useradd --create-home --uid 10001 bulk \
    && mkdir -p /var/lib/bulk-pipeline/work /opt/dagster/storage \
    && chown -R bulk /var/lib/bulk-pipeline /opt/dagster
COPY --from=build /opt/bulk-pipeline /opt/bulk-pipeline
COPY dagster.yaml workspace.yaml /opt/dagster/
ENV PATH=/opt/bulk-pipeline/bin:$PATH DAGSTER_HOME=/opt/dagster DAGSTER_DISABLE_TELEMETRY=1
USER 10001
WORKDIR /opt/dagster
CMD ["bulk-pipeline", "version"]
