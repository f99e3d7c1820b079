# The program on Debian, as a user that is nobody. Build: docker build --tag fleetcall .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin fleetcall

FROM debian:bookworm-slim
# Authorities for TLS, and directories that a volume takes its owner from.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 65532 -g 65532 /results /work
COPY --from=build /src/target/release/fleetcall /usr/local/bin/fleetcall
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["fleetcall"]
