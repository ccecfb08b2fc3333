"""What user code leaves behind in a process that more than one build uses."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What user code could leave changed."""

    path: tuple[str, ...]
    folder: str
    environment: dict[str, str]
    threads: int

    @classmethod
    def now(cls) -> ProcessState:
        return cls(tuple(sys.path), str(Path.cwd()), dict(os.environ), threading.active_count())

    def restore(self, root: str) -> bool:
        """Put back path, folder and environment and forget the mesh's modules; whether that was all, as
        threads cannot be taken back."""
        inside = str(Path(root).resolve()) + os.sep
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None) or ""
            if name.startswith("raymesh_transform_") or (
                file.startswith(inside) and "site-packages" not in file
            ):
                del sys.modules[name]
        sys.path[:] = self.path
        if dict(os.environ) != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)
        os.chdir(self.folder)
        return threading.active_count() <= self.threads
