# The server alone, on a CPU:
#
#   docker build --tag emorec .
#   docker run --read-only --tmpfs /tmp --publish 127.0.0.1:8000:8000 --env EMOREC_TOKEN --volume ./model:/model:ro \
#     emorec serve --host 0.0.0.0 --model /model

FROM python:3.11-slim-bookworm AS build

# One of Resemblyzer's needs is compiled on installation.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /source
COPY constraints.txt setup.py pyproject.toml README.md LICENSE ./
COPY emorec_lobes emorec_lobes
COPY recipes recipes
COPY hparams hparams
COPY papers papers
RUN python -m venv /opt/emorec \
 && /opt/emorec/bin/pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" --constraint constraints.txt '.[serve]'

FROM python:3.11-slim-bookworm

COPY --from=build /opt/emorec /opt/emorec
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin emorec
# Libraries keep caches, numba the code that it compiles for librosa: where this user may write.
ENV PATH=/opt/emorec/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp NUMBA_CACHE_DIR=/tmp/numba
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["emorec"]
CMD ["serve", "--host", "0.0.0.0"]
