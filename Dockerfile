# The server itself. It starts its sandboxes beside it, on the engine whose socket is mounted:
#   docker build -t safe-code-executor .
#   docker run -p 127.0.0.1:5000:5000 -v /var/run/docker.sock:/var/run/docker.sock safe-code-executor
# Whoever speaks to that socket is root on its host. The README names safer ways.
# PYTHON_BASE: any image with Python 3.11+, pip and apt, for instance one that trusts your proxy's certificate.
ARG PYTHON_BASE=python:3.11-slim

FROM ${PYTHON_BASE} AS client
# The client alone is a package from Debian 13 on; before, it comes with the engine, which stays in this stage.
RUN apt-get update \
    && (apt-get install -y --no-install-recommends docker-cli \
        || apt-get install -y --no-install-recommends docker.io) \
    && docker --version

FROM ${PYTHON_BASE}
WORKDIR /srv/safe-code-executor
COPY --from=client /usr/bin/docker /usr/local/bin/docker
COPY requirements.txt ./
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --require-hashes -r requirements.txt \
    && useradd --uid 10001 --user-group --create-home server \
    && install -d -o server -g server /data
COPY . ./
# A clone made under a strict umask is readable by its owner alone.
RUN chmod -R a+rX,go-w . && python3 -m compileall -q . && docker --version
ENV SCE_HOST=0.0.0.0 SCE_DATA_DIR=/data HOME=/home/server PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["python3", "-c", \
    "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('SCE_PORT', '5000') + '/healthz', timeout=4)"]
# Starts as root only to find the group of the socket; the server runs as `server`.
ENTRYPOINT ["scripts/server-entry"]
CMD ["python3", "app.py"]
