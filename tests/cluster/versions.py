"""Every version that this package pins, and where each comes from.

What is built from Go modules is pinned by the go.mod and go.sum files under go/; a test holds the two together.
Debian packages are pinned to a suite, not to a version: a stable suite serves one version and its security fixes.
"""

from __future__ import annotations

KUBERNETES = "v1.35.3"
"""What is built where kind's own node image cannot be pulled (go/kubelab/go.mod)."""

KIND = "v0.33.0"
"""go/kind/go.mod. kind's own builder makes the node image, so its version fixes the names of the images inside."""

HELM = "v3.20.2"
"""go/helm/go.mod. The release made for this Kubernetes minor: Helm serves the minor it is compiled against and three
older ones, so an older Helm on PATH is not taken."""

NODE_IMAGE = "kindest/node:v1.35.8@sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0"
"""kind's own image of the same minor, by the digest in the release notes of kind v0.33.0."""

PYTHON_IMAGE = "python:3.11.16-slim-bookworm"
"""The operator's base image, as in the Dockerfile's BASE."""

PYTHON = "3.11"
"""The minor that both bases of the operator's image carry; the dependencies are installed for it."""

POSTGRES_IMAGE = "postgres:15.19-bookworm"

NODE_SUITE = "bookworm"
"""Debian's suite of the node, of the operator's and PostgreSQL's base: its runc needs no newer glibc than 2.36."""

ENGINE_SUITE = "trixie"
"""Debian's suite of dockerd 26.1 and containerd 1.7: bookworm's 20.10 cannot run privileged containers on cgroup v1."""
