# syntax=docker/dockerfile:1
# The mesh's documents on top of the platform's image, so that every node finds them under /mesh. Build it from the
# folder of mesh.yaml; .dockerignore there keeps .raymesh, .env and keys out.
#   docker build -f mesh.Dockerfile --build-arg RAYMESH=registry.example.com/raymesh:0.1.0 -t registry.example.com/mesh:1 .
ARG RAYMESH=registry.example.com/raymesh:0.1.0
FROM ${RAYMESH}
COPY --chown=1000:1000 . /mesh
WORKDIR /mesh
