"""onnxruntime for node (and as WebAssembly): the packages of deploy/runners, installed from npm into a build folder once."""
import os
import shutil
import subprocess

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "runners")


def install(folder):
    """The folder that `import 'onnxruntime-node'` works from; None: it cannot be had, and why was said."""
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(SOURCE, name), folder)
    modules = os.path.join(folder, "node_modules")
    if not all(os.path.isdir(os.path.join(modules, name)) for name in ("onnxruntime-node", "onnxruntime-web")):
        environment = dict(os.environ, ONNXRUNTIME_NODE_INSTALL="skip")
        try:
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, env=environment, check=True,
                           capture_output=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as why:
            print(f"left out: onnxruntime-node cannot be installed ({why})")
            return None
    return folder
