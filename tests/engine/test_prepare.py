"""From nothing to a store, against a local server."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import rich
import torch
from PIL import Image

from sr_lightning.cli.compose import Composer
from sr_lightning.data.catalogue import Archive
from sr_lightning.data.scan import DataError
from sr_lightning.engine import prepare as module
from sr_lightning.engine.prepare import fetch_weights, free_bytes, prepare, prepare_images
from sr_lightning.functional.resize import downscale_uint8


class Server(ThreadingHTTPServer):
    """Serves a folder and remembers what was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.folder = folder
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path.lstrip("/"))
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    server = Server(tmp_path / "served")
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_other_network(monkeypatch):
    """Official sources are of no use here, whether or not this machine reaches them."""
    genuine = module.fetch

    def fetch(archive: Archive, folder: Path, **options):
        urls = tuple("http://127.0.0.1:9/" + url.rpartition("/")[2] for url in archive.urls)
        return genuine(module.replace(archive, urls=urls), folder, wait=lambda _: None, **options)

    monkeypatch.setattr(module, "fetch", fetch)


def content(width: int = 40, height: int = 32, *, seed: int = 0, kind: str = "png") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def write_tgz(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def t91(count: int = 91, folder: str = "") -> dict[str, bytes]:
    return {f"{folder}t{number}.png": content(seed=number) for number in range(1, count + 1)}


@pytest.fixture
def config(tmp_path) -> Callable[..., dict]:
    def compose(*overrides: str) -> dict:
        folders = [f"data.root={tmp_path / 'root'}", f"paths.cache={tmp_path / 'cache'}"]
        small = ["model=espcn", "scale=2", "data.hr_patch=16", "data.lr_patch=null", "command=prepare"]
        return Composer("train").compose([*small, *folders, *overrides]).tree

    return compose


def said(capsys) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("folder", ["", "T91/"])
def test_t91_from_a_server(config, server, tmp_path, capsys, folder):
    write_zip(server.folder / "T91.zip", t91(folder=folder))
    prepare(config("data=t91", f"data.mirrors=[{server.url}]"))
    out = said(capsys)
    # In this order: what is to be done and the room it takes, the terms, the download, what is ready.
    steps = (
        "to fetch: T91.zip or train_data.zip",
        "decoded images: about",
        "licence",
        "please cite J. Yang",
        f"T91.zip: from {server.url}/T91.zip",
        "ready",
    )
    assert [out.index(step) for step in steps] == sorted(out.index(step) for step in steps)
    assert "expected 91" not in out
    root = tmp_path / "root"
    assert len(list((root / "T91").rglob("*.png"))) == 91
    assert not (root / "archives" / "T91.zip").exists()
    assert len(list((tmp_path / "cache").glob("*/hr.bin"))) == 2, "training and validation images are decoded"

    # Once more: nothing is asked for.
    server.asked.clear()
    prepare(config("data=t91", f"data.mirrors=[{server.url}]"))
    assert server.asked == []
    assert "91 images in" in said(capsys)


def test_bsds300_with_its_id_lists(config, server, tmp_path, capsys):
    files = {f"BSDS300/images/train/{number}.jpg": content(seed=number, kind="jpeg") for number in range(200)}
    files |= {f"BSDS300/images/test/{number}.jpg": content(seed=number, kind="jpeg") for number in range(500, 503)}
    files["BSDS300/iids_train.txt"] = "\n".join(str(number) for number in range(200)).encode()
    write_tgz(server.folder / "BSDS300-images.tgz", files)
    needs = prepare_images(
        config("data=bsds300", f"data.mirrors=['http://127.0.0.1:9', {server.url}/nowhere, {server.url}]")
    )
    assert [len(need.files) for need in needs] == [200]
    out = said(capsys)
    # A third party's checksum only warns.
    assert "the expected value is unverified, so the file is used" in out
    assert server.asked == ["nowhere/BSDS300-images.tgz", "BSDS300-images.tgz"]


def test_mixture_and_evaluation_set(config, server, tmp_path, capsys):
    write_zip(server.folder / "T91.zip", t91(12))
    write_zip(server.folder / "General-100.zip", {f"im_{number}.bmp": content(kind="bmp") for number in range(10)})
    write_zip(server.folder / "Set5.zip", {f"HR/{number}.png": content() for number in range(5)})
    prepare(
        config(
            "data=mix",
            "~data.sets",
            "+data.sets={t91: 2, general100: 1}",
            "eval=[set5]",
            f"data.mirrors=[{server.url}]",
        )
    )
    out = said(capsys)
    assert "T91: expected 91 images for training, found 12" in out
    assert "General-100: expected 100 images for training, found 10" in out
    assert (tmp_path / "root/Set5/HR/4.png").is_file()
    assert len(list((tmp_path / "cache").glob("*/hr.bin"))) == 3


def test_an_evaluation_set_alone(config, server, tmp_path, capsys):
    write_zip(server.folder / "Set14.zip", {f"HR/{number}.png": content() for number in range(14)})
    prepare(config("data=set14", f"data.mirrors=[{server.url}]"))
    assert "14 images in" in said(capsys)
    assert not (tmp_path / "cache").exists()


def test_layouts_of_others_are_not_fetched(config, server, tmp_path, capsys):
    # Not where DIV2K's own archives are unpacked: those would make a second copy.
    for folder, numbers in (("datasets/DIV2K/DIV2K_train_HR", range(1, 4)), ("DIV2K_valid_HR", range(801, 803))):
        (tmp_path / "root" / folder).mkdir(parents=True)
        for number in numbers:
            (tmp_path / "root" / folder / f"{number:04}.png").write_bytes(content(50, 44, seed=number))
    prepare(config("data=div2k", f"data.mirrors=[{server.url}]"))
    assert server.asked == []
    out = said(capsys)
    assert "DIV2K: expected 800 images for training, found 3" in out
    assert "to fetch" not in out
    assert not (tmp_path / "root/archives").exists()


def test_a_set_that_misses_images_is_completed(config, server, tmp_path, capsys):
    write_zip(server.folder / "T91.zip", t91())
    chosen = config("data=t91", f"data.mirrors=[{server.url}]")
    prepare(chosen)
    for number in range(1, 51):
        (tmp_path / f"root/T91/t{number}.png").unlink()
    kept = (tmp_path / "root/T91/t60.png").stat().st_mtime_ns
    capsys.readouterr()
    # A training takes what is there; a preparation fetches it.
    assert [len(need.files) for need in prepare_images(chosen)] == [41]
    assert "T91: expected 91 images for training, found 41" in said(capsys)
    prepare(chosen)
    out = said(capsys)
    assert "to fetch: T91.zip" in out
    assert "T91: 41 of 91 images are there, fetching it again" in out
    assert "expected 91" not in out
    assert len(list((tmp_path / "root/T91").glob("*.png"))) == 91
    assert (tmp_path / "root/T91/t60.png").stat().st_mtime_ns == kept


def test_left_overs_of_a_set_are_completed(config, server, tmp_path, capsys):
    # Fewer images than are held out, and of two sets at once.
    write_zip(server.folder / "T91.zip", t91())
    write_zip(server.folder / "Set5.zip", {f"HR/{number}.png": content() for number in range(5)})
    for folder in ("T91", "Set5/HR"):
        (tmp_path / "root" / folder).mkdir(parents=True)
        (tmp_path / "root" / folder / "t1.png").write_bytes(content(seed=1))
    (tmp_path / "root/Set5/HR/t1.png").rename(tmp_path / "root/Set5/HR/0.png")
    prepare(config("data=t91", "eval=[set5]", f"data.mirrors=[{server.url}]"))
    # The room is that of the whole set: 91 images of 58853 pixels with LR at x2.
    out = said(capsys)
    assert "decoded images: about 20.1 MB" in out
    assert "91 images in" in out
    assert len(list((tmp_path / "root/Set5/HR").iterdir())) == 5


def test_a_set_that_cannot_be_completed_is_used_as_it_is(config, server, tmp_path, capsys):
    write_zip(server.folder / "T91.zip", t91(12))
    prepare(config("data=t91", f"data.mirrors=[{server.url}]"))
    capsys.readouterr()
    prepare(config("data=t91"))
    out = said(capsys)
    assert "T91 stays as it is: T91.zip or train_data.zip could not be fetched" in out
    assert "T91: expected 91 images for training, found 12" in out
    assert "ready" in out


def test_pieces_of_images_are_not_fetched(config, server, tmp_path, capsys):
    for folder, stem in (("DIV2K_train_HR_sub", "0001"), ("DIV2K_valid_HR_sub", "0801")):
        (tmp_path / "root/DIV2K" / folder).mkdir(parents=True)
        for piece in (1, 2):
            (tmp_path / f"root/DIV2K/{folder}/{stem}_s00{piece}.png").write_bytes(content(50, 44, seed=piece))
    (tmp_path / "root/DIV2K/DIV2K_valid_HR_sub").rename(tmp_path / "root/DIV2K_valid_HR")
    prepare(config("data=div2k", f"data.mirrors=[{server.url}]"))
    assert server.asked == []
    assert "DIV2K: expected 800 images for training, found 1" in said(capsys)


def test_published_lr_is_compared(config, tmp_path, capsys):
    root = tmp_path / "root/DIV2K"
    for folder in ("DIV2K_train_HR", "DIV2K_valid_HR", "DIV2K_train_LR_bicubic/X2", "DIV2K_valid_LR_bicubic/X2"):
        (root / folder).mkdir(parents=True)
    for number in (1, 2, 801):
        part = "train" if number < 801 else "valid"
        hr = root / f"DIV2K_{part}_HR" / f"{number:04}.png"
        hr.write_bytes(content(50, 44, seed=number))
        pixels = torch.from_numpy(np.array(Image.open(hr))).permute(2, 0, 1)[None]
        lr = downscale_uint8(pixels, 2)[0].permute(1, 2, 0).numpy().copy()
        lr[0, 0, 0] ^= number == 2
        Image.fromarray(lr).save(root / f"DIV2K_{part}_LR_bicubic/X2/{number:04}x2.png")
    prepare(config("data=div2k"))
    out = said(capsys)
    assert "DIV2K: the published LR images at x2" in out
    assert "1 of 2 are bit-equal to ours; 0.03% of the values differ, by up to 1" in out
    assert "all 1 are bit-equal to ours" in out


def test_images_smaller_than_the_patch_are_said(config, server, tmp_path, capsys):
    write_zip(server.folder / "T91.zip", t91(20))
    prepare(config("data=t91", "data.hr_patch=34", f"data.mirrors=[{server.url}]"))
    assert "t91: 10 of 10 images are smaller than the patch of 34 pixels" in said(capsys)


@pytest.mark.parametrize("store", ["ram", "off"])
def test_without_a_store_nothing_is_decoded(config, server, tmp_path, capsys, store):
    write_zip(server.folder / "T91.zip", t91(12))
    prepare(config("data=t91", f"data.store={store}", f"data.mirrors=[{server.url}]"))
    assert f"data.store={store}: nothing to decode beforehand" in said(capsys)
    assert not (tmp_path / "cache").exists()


def test_a_checksum_that_counts(config, server, tmp_path):
    write_zip(server.folder / "DIV2K_train_HR.zip", {"DIV2K_train_HR/0001.png": content()})
    with pytest.raises(
        DataError, match=r"DIV2K_train_HR\.zip: expected 3530603713 bytes, got \d+(?s:.*)Put DIV2K_train_HR.zip into"
    ) as caught:
        prepare(config("data=div2k", f"data.mirrors=[{server.url}]"))
    assert str(tmp_path / "root/archives") in str(caught.value)
    assert not (tmp_path / "root/DIV2K").exists()


def test_no_network_says_what_to_put_where(config, tmp_path):
    with pytest.raises(DataError) as caught:
        prepare(config("data=t91"))
    message = str(caught.value)
    assert "T91.zip or train_data.zip could not be fetched: http://127.0.0.1:9/train_data.zip: no connection" in message
    assert f"Put T91.zip or train_data.zip into {tmp_path}/root/archives" in message
    with pytest.raises(
        DataError, match=r"Manga109\.zip could not be fetched: no source is known\.\nIts owners give it on request"
    ):
        prepare(config("data=manga109"))


def test_an_archive_brought_by_hand_is_used_and_kept(config, tmp_path, capsys):
    (tmp_path / "root/archives").mkdir(parents=True)
    write_zip(tmp_path / "root/archives/T91.zip", t91(12))
    prepare_images(config("data=t91"))
    assert "T91.zip: is there" in said(capsys)
    assert (tmp_path / "root/archives/T91.zip").is_file()


def test_an_archive_without_the_images_is_refused(config, server, tmp_path):
    write_zip(server.folder / "Set5.zip", {"readme.txt": b"moved", "LR/baby.png": content()})
    with pytest.raises(
        DataError, match=r"Set5\.zip holds Set5/readme\.txt, Set5/LR/baby\.png, .*: none of these is an image of Set5"
    ):
        prepare(config("data=set5", f"data.mirrors=[{server.url}]"))
    assert not (tmp_path / "root/archives/Set5.zip").exists(), "it must not be taken again"


def test_a_set_without_archives(config, tmp_path):
    (tmp_path / "yamls").mkdir()
    (tmp_path / "yamls/mine.yaml").write_text("spec: {kind: evaluation, title: Mine, splits: {test: {hr: [mine]}}}")
    with pytest.raises(DataError, match=r"eval=mine: put the images into \S+/root/mine; no archive of them is known"):
        prepare(config("data=sample", "eval=[mine]", f"paths.catalogue=[{tmp_path}/yamls]"))


@pytest.mark.parametrize("free", [7_000_000_000, 4_000_000_000])
def test_what_does_not_fit_is_refused_before_the_download(config, server, tmp_path, capsys, free):
    # 3.5 and 0.4 GB of archives, of which the larger is there twice while it is unpacked; 6.7 GB + 84 MB of HR, LR a
    # quarter of it.
    message = (
        r"archives, images and decoded images need about 15\.9 GB in .*/root, which has [74]\.0 GB free; make room"
    )
    with pytest.raises(DataError, match=rf"{message}.*data\.store=off"):
        prepare(config("data=div2k", f"data.mirrors=[{server.url}]"), free=lambda _: free)
    out = said(capsys)
    assert "to fetch: DIV2K_train_HR.zip (3.5 GB)" in out
    assert "archives and images: about 7.5 GB" in out
    assert "decoded images: about 8.4 GB" in out
    assert server.asked == []
    assert not (tmp_path / "root").exists()


def test_a_store_that_is_there_needs_no_room(config, server, tmp_path):
    write_zip(server.folder / "T91.zip", t91())
    chosen = config("data=t91", f"data.mirrors=[{server.url}]")
    prepare(chosen)
    prepare(chosen, free=lambda _: 0)
    with pytest.raises(DataError, match="decoded images need about"):
        prepare({**chosen, "paths": {**chosen["paths"], "cache": str(tmp_path / "another")}}, free=lambda _: 0)


def test_free_bytes_of_a_folder_to_be(tmp_path):
    assert free_bytes(tmp_path / "not/yet") == pytest.approx(free_bytes(tmp_path), rel=0.1)


def test_a_root_that_cannot_be_written(config, server, tmp_path, monkeypatch, capsys):
    chosen = config("data=t91", f"data.mirrors=[{server.url}]")
    (tmp_path / "root").write_bytes(b"a file")
    with pytest.raises(DataError, match=r"data\.root: .* cannot be written"):
        prepare_images(chosen)
    (tmp_path / "root").unlink()

    def refuse(**_):
        raise OSError(30, "Read-only file system")

    # A folder may be there on a disk that takes nothing.
    monkeypatch.setattr(module, "TemporaryFile", refuse)
    with pytest.raises(DataError, match=r"root cannot be written: .*Read-only file system; choose another folder"):
        prepare_images(chosen)
    assert "licence" not in said(capsys)
    assert server.asked == []


def test_room_where_some_images_are_there(config, server, tmp_path, capsys):
    for folder, images in (("T91", t91()), ("Set14", t91(2))):
        (tmp_path / "root" / folder).mkdir(parents=True)
        for name, data in images.items():
            (tmp_path / "root" / folder / name).write_bytes(data)
    prepare(config("data=t91", "data.val=set14"))
    capsys.readouterr()
    chosen = config("data=t91", "data.val=set5", f"data.mirrors=[{server.url}]")
    # T91 of its usual size takes 20 MB, Set5 2.1 MB and its archive 500 MB.
    for room, decoded in ((10**9, "22.2 MB"), (510 * 10**6, "2.1 MB")):
        with pytest.raises(DataError, match="could not be fetched"):
            prepare(chosen, free=lambda _, room=room: room)
        assert f"decoded images: about {decoded}" in said(capsys)
    with pytest.raises(DataError, match="archives, images and decoded images need about 502 MB"):
        prepare(chosen, free=lambda _: 501 * 10**6)


def test_training_asks_silently_where_all_is_there(config, server, tmp_path, capsys):
    write_zip(server.folder / "T91.zip", t91(91))
    chosen = config("data=t91", f"data.mirrors=[{server.url}]")
    prepare_images(chosen)
    assert "to fetch" in said(capsys)
    prepare_images(chosen)
    assert said(capsys) == ""


def test_a_bar_on_a_terminal(config, server, tmp_path, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(rich, "_console", rich.console.Console(file=screen, force_terminal=True, width=100))
    write_zip(server.folder / "T91.zip", t91(12))
    prepare_images(config("data=t91", f"data.mirrors=[{server.url}]"))
    assert "T91.zip" in screen.getvalue()
    assert "100%" in screen.getvalue() or "/" in screen.getvalue()


def test_lines_in_a_pipe(config, server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "_SECONDS_PER_LINE", 0.0)
    write_zip(server.folder / "T91.zip", t91(12))
    size = (server.folder / "T91.zip").stat().st_size
    prepare_images(config("data=t91", f"data.mirrors=[{server.url}]"))
    assert f"of {size / 1000:.1f} kB, 100%" in said(capsys)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty torch hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch/hub/checkpoints"


def test_weights_come_from_mirrors_and_are_checked(config, server, hub, monkeypatch):
    from torchvision.models import VGG19_Weights

    weights = b"VGG"
    name = f"vgg19-{hashlib.sha256(weights).hexdigest()[:8]}.pth"
    monkeypatch.setattr(VGG19_Weights.IMAGENET1K_V1._value_, "url", f"http://127.0.0.1:9/{name}")
    (server.folder / name).write_bytes(weights)
    chosen = config("loss=[l1,perceptual]", f"data.mirrors=[{server.url}]")
    assert fetch_weights(chosen) == [hub / name]
    assert (hub / name).read_bytes() == weights
    server.asked.clear()
    fetch_weights(chosen)
    assert server.asked == []
    (hub / name).unlink()
    (server.folder / name).write_bytes(b"another")
    with pytest.raises(DataError, match=f"{name}: expected a sha256 that begins with"):
        fetch_weights(chosen)
    assert not (hub / name).exists()


def test_weights_that_cannot_be_had_say_which_file_goes_where(config, hub):
    with pytest.raises(DataError) as caught:
        fetch_weights(config("model=srgan", "data.hr_patch=96"))
    message = str(caught.value)
    assert "the images are ready, weights are not" in message
    for name in ("vgg19-dcbb9e9d.pth", "alexnet-owt-7be5be79.pth"):
        assert f"put {name} into {hub}" in message


def test_metrics_that_are_asked_for_by_name_get_their_files(config, server, hub, monkeypatch):
    from torchvision.models import AlexNet_Weights, VGG16_Weights

    from sr_lightning.metrics import niqe

    names = {}
    for title, weights in (("alexnet", AlexNet_Weights), ("vgg16", VGG16_Weights)):
        names[title] = f"{title}-{hashlib.sha256(title.encode()).hexdigest()[:8]}.pth"
        monkeypatch.setattr(weights.IMAGENET1K_V1._value_, "url", f"http://127.0.0.1:9/{names[title]}")
        (server.folder / names[title]).write_bytes(title.encode())
    (server.folder / "niqe_pris_params.npz").write_bytes(b"statistics")
    mirrors = f"data.mirrors=[{server.url}]"
    # Another file by that name is not taken.
    with pytest.raises(DataError, match=r"niqe_pris_params\.npz could not be fetched"):
        fetch_weights(config("metrics=niqe", mirrors))
    checksum = hashlib.sha256(b"statistics").hexdigest()
    monkeypatch.setattr(niqe, "PARAMETERS", module.replace(niqe.PARAMETERS, sha256=checksum))
    found = fetch_weights(config("metrics=[psnr,lpips,dists,niqe]", mirrors))
    assert found == [hub / names["alexnet"], hub / names["vgg16"], hub / "niqe_pris_params.npz"]
    assert all(path.is_file() for path in found)
    # What is taken where it is there is not fetched.
    assert fetch_weights(config("metrics=auto", mirrors)) == []


@pytest.mark.parametrize(
    ("loss", "file"),
    [("style", "vgg16-397923af.pth"), ("dists", "vgg16-397923af.pth"), ("lpips", "alexnet-owt-7be5be79.pth")],
)
def test_losses_that_compare_features_get_their_files(config, hub, loss, file):
    chosen = ["loss.lpips.backbone=alex"] if loss == "lpips" else []
    with pytest.raises(DataError, match=f"put {file} into {hub}"):
        fetch_weights(config(f"loss=[l1,{loss}]", *chosen))


def test_weights_that_nobody_needs_are_not_fetched(config, hub, tmp_path):
    assert fetch_weights(config()) == []
    assert fetch_weights(config("loss=perceptual", "loss.perceptual.weights=random")) == []


@pytest.mark.slow
def test_real_t91_and_bsds300(config, server, shared, tmp_path, capsys):
    train = shared / "data" / "train"
    write_zip(
        server.folder / "T91.zip", {path.name: path.read_bytes() for path in sorted((train / "T91").glob("*.png"))}
    )
    with tarfile.open(server.folder / "BSDS300-images.tgz", "w:gz") as archive:
        archive.add(train / "BSDS300", "BSDS300")
    prepare(config("data=mix", f"data.mirrors=[{server.url}]"))
    out = said(capsys)
    assert "expected 91" not in out
    assert "expected 200" not in out
    assert len(list((tmp_path / "cache").glob("*/hr.bin"))) == 3
