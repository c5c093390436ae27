"""What Chainlit reads when it is loaded: its settings, its words, and what browsers get from us.

Everything lies in one folder of the home; nothing is written to the current one.
"""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["chainlit_is_there", "write_page_files"]

_SETTINGS = """\
[project]
allow_origins = []
session_timeout = 300
user_session_timeout = 1296000

[features]
unsafe_allow_html = false
latex = false
edit_message = false
auto_tag_thread = false

[features.spontaneous_file_upload]
enabled = false

[features.mcp]
enabled = false

[UI]
name = "LLMFlowLab"
description = "Talk with the models that are served here."
language = "en-US"
cot = "full"
confirm_new_chat = false
custom_css = "/public/page.css"
custom_js = "/public/page.js"
custom_meta_url = "/"
login_page_image = "/public/entrance.svg"
login_page_image_dark_filter = "brightness-50"
custom_meta_image_url = "/favicon"
"""
_NO_ENTRY = "This key does not hold, or the service does not answer."
_WORDS = {
    ("auth", "login", "title"): "Sign in with a key of this service",
    ("auth", "login", "form", "email", "label"): "Your name",
    ("auth", "login", "form", "email", "placeholder"): "as you like",
    ("auth", "login", "form", "email", "required"): "a name is needed",
    ("auth", "login", "form", "password", "label"): "Key",
    ("auth", "login", "form", "password", "required"): "a key is needed",
    ("auth", "login", "errors", "credentialsSignin"): _NO_ENTRY,
    ("auth", "login", "errors", "credentialssignin"): _NO_ENTRY,
    ("auth", "login", "errors", "default"): _NO_ENTRY,
    ("chat", "input", "actions", "stop"): "Stop the answer",
    ("threadHistory", "sidebar", "empty"): "No chats yet",
    # Chainlit says so before the name of a step; ours is `Thinking`.
    ("chat", "messages", "status", "using"): "",
    ("chat", "messages", "status", "used"): "",
    ("chat", "watermark"): "Models err. What they say is kept by the service.",
}
"""In place of Chainlit's own."""
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_THEME = {
    # None from elsewhere.
    "custom_fonts": [],
    "variables": {
        "light": {"--font-sans": _FONT, "--primary": "176 45% 30%", "--ring": "176 45% 30%"},
        "dark": {"--font-sans": _FONT, "--primary": "174 42% 40%", "--ring": "174 42% 40%"},
    },
}
_PUBLIC = Path(__file__).parent / "public"


def chainlit_is_there() -> bool:
    """Tell whether Chainlit is installed, without loading it."""
    return find_spec("chainlit") is not None


def write_page_files(folder: Path) -> None:
    """Write them, over those of an earlier start.

    Raises:
        OSError: The folder cannot be written.
    """
    own = folder / ".chainlit"
    words = own / "translations"
    words.mkdir(parents=True, exist_ok=True)
    (own / "config.toml").write_text(_SETTINGS + _made_by(), encoding="utf-8")
    (words / "en-US.json").write_text(json.dumps(_translation()), encoding="utf-8")
    # Without it Chainlit would welcome people to Chainlit.
    (folder / "chainlit.md").write_text("", encoding="utf-8")
    public = folder / "public"
    shutil.rmtree(public, ignore_errors=True)
    shutil.copytree(_PUBLIC, public)
    (public / "theme.json").write_text(json.dumps(_THEME), encoding="utf-8")


def _made_by() -> str:
    from importlib.metadata import version

    return f'\n[meta]\ngenerated_by = "{version("chainlit")}"\n'


def _translation() -> dict[str, Any]:
    spec = find_spec("chainlit")
    assert spec is not None
    assert spec.origin is not None
    theirs = Path(spec.origin).with_name("translations") / "en-US.json"
    found: dict[str, Any] = json.loads(theirs.read_text("utf-8"))
    for path, text in _WORDS.items():
        at = found
        for part in path[:-1]:
            at = at.setdefault(part, {})
        at[path[-1]] = text
    return found
