# cpp-actuator, without the forecast's libraries. From the root: docker build -f deploy/images/actuator.Dockerfile -t cpp-actuator .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates
WORKDIR /src
# Libraries first, with the sources and the page for readers missing, so that their changes fetch nothing again.
COPY pyproject.toml ./
RUN touch README.md && python3 -m venv /opt/cpp && /opt/cpp/bin/pip install --no-cache-dir ".[actuator]"
COPY exporter exporter
COPY actuator actuator
RUN /opt/cpp/bin/pip install --no-cache-dir --no-deps --force-reinstall . && /opt/cpp/bin/pip uninstall --yes pip

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cpp-actuator" \
      org.opencontainers.image.description="Turns alerts into bounded, checked changes of containers" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The ledger's directory is made here, so that a new volume on it belongs to the user below.
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && install -d -o 65532 -g 65532 -m 0700 /var/lib/cpp-actuator
COPY --from=build /opt/cpp /opt/cpp
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 17902
VOLUME /var/lib/cpp-actuator
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s \
  CMD ["/opt/cpp/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:17902/-/healthy', timeout=4)"]
ENTRYPOINT ["/opt/cpp/bin/cpp-actuator"]
CMD ["run", "--config.file=/etc/cpp-actuator/actuator.yml", "--web.listen-address=0.0.0.0:17902"]
