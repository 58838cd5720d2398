# cAdvisor as a small program over its library. From the root: docker build -f deploy/images/cadvisor.Dockerfile -t cpp-cadvisor .
ARG GO_IMAGE=golang:1.26-bookworm

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY deploy/cadvisor/go.mod deploy/cadvisor/go.sum ./
RUN go mod download
COPY deploy/cadvisor ./
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -buildid=" -o /cadvisor .

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cpp-cadvisor" \
      org.opencontainers.image.description="cAdvisor's library with a plain metrics page" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /cadvisor /cadvisor
# Other users' descriptors and the engine's socket are root's to read; the compose file takes all else away.
USER 0:0
EXPOSE 8080
ENTRYPOINT ["/cadvisor"]
CMD ["--listen=0.0.0.0:8080"]
