"""`shopfuse release ...` as a person types it, on a real Triton: what it prints, what it changes, how it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from shopfuse.cli.console import out
from shopfuse.cli.main import app
from shopfuse.core.errors import ShopfuseError
from shopfuse.triton.local_triton import LocalTriton
from tests.publishing.tiny_release import PASSED, Scaling, Shop, new_shop

INT8 = {
    **PASSED,
    "precision": "int8_static",
    "max_abs_diff": 0.0125,
    "cosine_min": 0.98765,
    "ranking": {"overlap": 0.94, "ndcg_loss": 0.0009},
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["release", *arguments])


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    parsed: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return parsed


def test_publish_canary_promote_and_roll_back(shop: Shop, triton: LocalTriton) -> None:
    at = ["-w", str(shop.root), "--triton", triton.address]
    first = run("publish", "r1", *at)
    canary = document(run("publish", "r2", "--canary", "5%", *at, "--json"))
    promoted = document(run("publish", "--promote", *at, "--json"))
    back = document(run("rollback", *at, "--json"))

    assert "r1: stable" in first.stdout
    assert (canary["after"]["canary"], canary["after"]["canary_share"]) == ("r2", 0.05)
    assert (promoted["action"], promoted["after"]["stable"]) == ("promote", "r2")
    assert back["after"]["stable"] == shop.channels.stable == "r1"


def test_the_newest_release_is_published_and_listed(shop: Shop, triton: LocalTriton) -> None:
    published = run("publish", "-w", str(shop.root), "--triton", triton.address)
    listed = document(run("list", "-w", str(shop.root), "--json"))

    assert published.exit_code == 0
    assert [row["channel"] for row in listed["releases"]] == ["", "stable"]


def test_prune_says_what_stays_and_what_goes(shop: Shop, triton: LocalTriton) -> None:
    shop.add("r3", Scaling(3, 7.0), Scaling(1, 2.0))
    at = ["-w", str(shop.root), "--triton", triton.address]
    run("publish", "r1", *at)
    pruned = run("prune", "--keep", "0", *at)

    assert pruned.exit_code == 0
    assert "r1 stays: stable" in pruned.stdout
    assert "r3 stays: the latest" in pruned.stdout
    assert "removed r2" in pruned.stdout
    assert not shop.release("r2").exists()


def test_a_difference_names_the_model_and_equal_parts_are_said_to_be_equal(shop: Shop) -> None:
    other = document(run("diff", "r1", "r2", "-w", str(shop.root), "--json"))
    same = run("diff", "r1", "r1", "-w", str(shop.root))

    assert "model encoder" in {row["what"] for row in other["differences"]}
    assert "same parts" in same.stdout


def test_the_page_tells_precision_parity_and_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out, "width", 160)
    shop = new_shop(tmp_path / "shop", "page", tmp_path / "shop" / "model_repository")
    shop.add("r1", Scaling(1, 3.0), Scaling(1, 2.0), parity=INT8)
    shop.add("r2", Scaling(2, 3.0), Scaling(1, 2.0), parity=INT8 | {"passed": False, "accepted": "a trial"})

    page, accepted = (run("show", name, "-w", str(shop.root)).stdout for name in ("r1", "r2"))

    for part in ("encoder_page / 1", "0.0125", "0.98765", "94.0%", "0.0009", "passed"):
        assert part in page
    assert "accepted: a trial" in accepted


@pytest.mark.parametrize("share", ["0%", "101%", "many", "-5%"])
def test_a_share_that_is_none_is_refused(shop: Shop, share: str) -> None:
    refused = run("publish", "r2", f"--canary={share}", "-w", str(shop.root))

    assert isinstance(refused.exception, ShopfuseError)
    assert "--canary" in str(refused.exception)


def test_promote_stands_alone(shop: Shop) -> None:
    refused = run("publish", "r2", "--promote", "-w", str(shop.root))

    assert "--promote stands alone" in str(refused.exception)


def test_keys_are_made_once(tmp_path: Path) -> None:
    made, again = run("keygen", str(tmp_path)), run("keygen", str(tmp_path))

    assert made.exit_code == 0
    assert (tmp_path / "release.pem").stat().st_mode & 0o077 == 0
    assert "a key is there already" in str(again.exception)
