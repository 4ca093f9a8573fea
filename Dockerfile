# The operator's image: controller and runner, one console script.
#
# `make image` builds it. It first installs what goes in into build/image/, from uv.lock with its hashes, on the machine that
# builds: so nothing is downloaded in here, and a network whose certificate authority only that machine knows does no harm.
# Afterwards `docker build --build-arg BASE=<any image with Python 3.11> .` builds it again on another base.
ARG BASE=python:3.11.16-slim-bookworm

# The dependencies, which change seldom: a virtual environment without pip, compiled ahead, since the root is read-only later.
# Compiled files carry the hash of their source rather than its time, so the same sources give the same layer.
FROM ${BASE} AS dependencies
RUN python3 -c 'import sys; found = sys.version_info[:2]; sys.exit(f"BASE has Python {found}, not 3.11" if found != (3, 11) else 0)' \
 && python3 -m venv --without-pip /opt/trending
COPY build/image/dependencies /opt/trending/lib/python3.11/site-packages
# The Kubernetes client is 126 MB of generated code when compiled, and imports it class by class. It comes twice: the operator
# uses the asynchronous one (kubernetes.aio), of which the compiled form is enough; of the other one the classes go.
RUN cd /opt/trending/lib/python3.11/site-packages \
 && find kubernetes/client/api kubernetes/client/models -name '*.py' ! -name '__init__.py' -delete \
 && python3 -m compileall -q -j 0 -b --invalidation-mode unchecked-hash kubernetes/aio/client/api kubernetes/aio/client/models \
 && find kubernetes/aio/client/api kubernetes/aio/client/models -name '*.py' -delete \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash .

# The project's own wheel, unpacked.
FROM ${BASE} AS project
COPY build/image/project /project/opt/trending
RUN python3 -m compileall -q -s /project -p / --invalidation-mode unchecked-hash /project/opt/trending/lib

FROM ${BASE}
# An official Python image brings pip and no compiled standard library; Debian's is the other way round. The name is for
# programs that ask who they are; the number is what counts.
RUN rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip /usr/lib/python3*/ensurepip \
           /usr/local/bin/pip* /usr/local/bin/idle* /usr/local/bin/wheel \
 && python3 -m compileall -q -j 0 -x '/(tests?|lib2to3)/' "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
 && echo 'trending:x:65532:65532:trending operator:/nonexistent:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'trending:x:65532:' >> /etc/group
COPY --from=dependencies /opt/trending /opt/trending
COPY --from=project /project/opt/trending /opt/trending
ENV PATH=/opt/trending/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /
ENTRYPOINT ["trending"]
CMD ["--help"]

# Last, so that a new commit changes no layer above.
ARG VERSION=dev
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="trending-operator" \
      org.opencontainers.image.description="Keeps ranking tables in PostgreSQL fresh: a Kubernetes operator that refreshes materialized views and rewrites score tables on a schedule." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
