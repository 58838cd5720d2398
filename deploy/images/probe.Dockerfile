# cpp-probe with what it runs in the kernel. From the root: docker build -f deploy/images/probe.Dockerfile -t cpp-probe .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates
WORKDIR /src
# Libraries first, with the sources and the page for readers missing, so that their changes fetch nothing again.
COPY pyproject.toml ./
RUN touch README.md && python3 -m venv /opt/cpp && /opt/cpp/bin/pip install --no-cache-dir .
RUN apt-get install -y --no-install-recommends clang gcc make libc6-dev libbpf-dev
COPY exporter exporter
COPY actuator actuator
RUN make -C exporter/probe/programs BUILD=/tmp OUTPUT=/opt/cpp/bin/cpp-probe-kernel
RUN /opt/cpp/bin/pip install --no-cache-dir --no-deps --force-reinstall .

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cpp-probe" \
      org.opencontainers.image.description="Counts in the kernel what the containers of a node do" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN apt-get update && apt-get install -y --no-install-recommends python3 libbpf1 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/cpp /opt/cpp
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Loading kernel programs asks for CAP_BPF and CAP_PERFMON, whoever the user is; nothing is analysed here for that reason.
USER 0:0
EXPOSE 17901
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["/opt/cpp/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:17901/-/healthy', timeout=4)"]
ENTRYPOINT ["/opt/cpp/bin/cpp-probe"]
CMD ["--web.listen-address=0.0.0.0:17901"]
