# The image of chartroom. It builds with docker (BuildKit or not), buildah and podman, and on platforms that build by themselves.
# Sources are copied by name, never "COPY . .": some builders do not read .dockerignore, and put a file with the
# application's secrets (.aptible.env) beside the sources.

FROM golang:1.26-alpine AS build
WORKDIR /src
# Alone, so that the layer with the modules lasts until they change.
COPY go.mod go.sum ./
RUN go mod download
COPY assets assets/
COPY db db/
COPY views views/
COPY handlers handlers/
# Where the platform has cloned the one commit, .git/shallow holds its name; elsewhere the pattern finds nothing.
COPY main.go embed.go templ.go .git/shallo[w] ./
# What `task image` and CI say of a release: the tag, the commit, the commit's date (RFC 3339). The flags are those of
# .ci/release, so that the program in the image is, byte for byte, the released one.
ARG VERSION=
ARG COMMIT=
ARG DATE=
RUN if [ -z "$COMMIT" ] && [ -f shallow ]; then COMMIT=$(head -n 1 shallow); fi; \
    CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -mod=readonly" go build -tags nethttpomithttp2 -gcflags=chartroom/views=-l -gcflags=github.com/alecthomas/kong=-l \
      -ldflags "-s -w -X main.version=$VERSION -X main.revision=$COMMIT -X main.revisionDate=$DATE" -o /chartroom .

# The program needs nothing of it. Whoever must look into a container (aptible ssh, docker exec) needs a shell.
FROM alpine:3
COPY .aptible.yml /.aptible/.aptible.yml
COPY --from=build /chartroom /usr/local/bin/chartroom
# A number and no name: orchestrators that want to be sure it is not root (runAsNonRoot) only believe numbers.
USER 65532:65532
ENV PORT=8080
EXPOSE 8080
# Starting may take as long as the migrations do.
HEALTHCHECK --interval=20s --timeout=6s --start-period=60s --retries=3 CMD ["/usr/local/bin/chartroom", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/chartroom"]
CMD ["serve"]
ARG VERSION=
ARG COMMIT=
ARG DATE=
LABEL org.opencontainers.image.title="Chartroom" \
      org.opencontainers.image.description="A clinic's front door to its patient list" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT" \
      org.opencontainers.image.created="$DATE"
