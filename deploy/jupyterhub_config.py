"""JupyterHub for a class: everybody has the apps as pages (Voila) and as notebooks, and nobody sees another's.

    LRP_CLASS_PASSWORD=… jupyterhub --config deploy/jupyterhub_config.py

LRP_CLASS_PASSWORD: of the whole class, at least 8 characters; each student chooses a name of their own with it.
LRP_HUB_SPAWNER: "docker" (the default: a container for each student) or "simple" (a process, without any wall between
students: to try things out, never for a class).
LRP_HUB_STUDENTS: how many servers may run at once (40).  LRP_HUB_PORT: where the hub listens on loopback (8000).
"""

import os
import shutil
import sys
from pathlib import Path

password = os.environ.get("LRP_CLASS_PASSWORD", "")
if len(password) < 8:
    sys.exit("Set LRP_CLASS_PASSWORD to a password of at least 8 characters: whoever has it can run code here.")
students = int(os.environ.get("LRP_HUB_STUDENTS", "40"))

c = get_config()  # type: ignore[name-defined]  # noqa: F821

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = password
c.Authenticator.allow_all = True  # whoever has the password
c.JupyterHub.bind_url = (
    f"http://127.0.0.1:{os.environ.get('LRP_HUB_PORT', '8000')}"  # the proxy with TLS stands in front
)
c.JupyterHub.active_server_limit = students
c.JupyterHub.concurrent_spawn_limit = 10  # a class that begins at once: the others wait a moment

c.Spawner.default_url = "/voila/render/explore.ipynb"
c.Spawner.mem_limit = "1G"  # one app 330 MB, JupyterLab 200 MB, and room for a second notebook
c.Spawner.cpu_limit = 1.0
c.Spawner.http_timeout = 120
c.Spawner.environment = {
    "OMP_NUM_THREADS": "1"
}  # so many processes beside each other are quickest with one thread each
c.Spawner.args = [
    "--VoilaConfiguration.template=lrp",
    "--VoilaConfiguration.allow_template_override=NO",
    "--VoilaConfiguration.show_tracebacks=False",
    "--NotebookClient.iopub_timeout=90",  # a page has hundreds of widgets, and a busy machine is slow to make them
    "--MappingKernelManager.cull_idle_timeout=300",  # as a Jupyter extension Voila keeps the kernel of a closed tab
    "--MappingKernelManager.cull_interval=30",
]

if os.environ.get("LRP_HUB_SPAWNER", "docker") == "simple":
    from lrp_widgets.apps.serving.serve import APPS

    def copy_notebooks(spawner) -> None:
        """Put the apps where the student's server finds them. What the student has changed stays."""
        home = Path(spawner.home_dir)
        home.mkdir(parents=True, exist_ok=True)
        for notebook in APPS.glob("*.ipynb"):
            if not (home / notebook.name).exists():
                shutil.copy(notebook, home)

    c.JupyterHub.spawner_class = "simple"
    if os.name == "posix" and os.geteuid() == 0:  # as in a container
        c.Spawner.args.append("--allow-root")
    c.Spawner.pre_spawn_hook = copy_notebooks
    c.SimpleLocalProcessSpawner.home_dir_template = os.environ.get("LRP_HUB_HOMES", "/tmp/lrp_hub/{username}")
else:
    c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
    c.DockerSpawner.image = os.environ.get("LRP_HUB_IMAGE", "lrp_widgets")  # deploy/Dockerfile
    c.DockerSpawner.remove = True
    c.DockerSpawner.volumes = {"lrp-{username}": "/home/student/work"}
    c.JupyterHub.hub_ip = os.environ.get("LRP_HUB_IP", "172.17.0.1")  # where containers reach the hub

# A server that nobody has used for half an hour ends, and its memory is free for the next one.
c.JupyterHub.load_roles = [
    {
        "name": "culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["culler"],
    }
]
c.JupyterHub.services = [
    {"name": "culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=1800"]},
]
