"""Files on a slow disk: calls on them come out as in threads, and the others go on."""
from harness import same

FILES = '''
import os, shutil, tempfile


def drop(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def error(function):
    try:
        return function()
    except OSError as e:
        return e.errno


def scene():
    folder = tempfile.mkdtemp(dir="/var/tmp")
    path = os.path.join(folder, "file")
    data = bytes(range(256)) * 16384 + b"tail"
    results = []
    with open(path, "wb", buffering=0) as f:
        results.append(f.write(data[:3000000]))
        results.append(os.writev(f.fileno(), [data[3000000:3000100], data[3000100:]]))
        os.fsync(f.fileno())
        os.fdatasync(f.fileno())
    for cold in (True, False):
        for size in (100000, 1 << 20, 5000000):
            if cold:
                drop(path)
            with open(path, "rb", buffering=0) as f:
                parts = list(iter(lambda: f.read(size), b""))
            results.append((b"".join(parts) == data, [len(part) for part in parts[-2:]]))
        fd = os.open(path, os.O_RDWR)
        for at in (0, 4095, 4096, len(data) - 100, len(data), len(data) + 5):
            if cold:
                drop(path)
            results.append(os.pread(fd, 200000, at) == data[at:at + 200000])
            one, two = bytearray(4096), bytearray(100)
            got = os.preadv(fd, [one, two], at)
            results.append((one + two)[:got] == data[at:at + 4196])
            os.lseek(fd, at, os.SEEK_SET)
            results.append(os.readv(fd, [one, two]) == got)
            results.append(os.lseek(fd, 0, os.SEEK_CUR) - at == got)
        results.append(error(lambda: os.pread(fd, 1, -1)))
        results.append(os.pwrite(fd, b"xyz", 7))
        results.append(os.pread(fd, 5, 6) == b"\\x06xyz\\x0a")
        os.pwrite(fd, data[:20], 0)
        results.append(os.copy_file_range(fd, fd, 100, 0, 5000000))
        os.ftruncate(fd, len(data))
        os.close(fd)
    os.rename(path, path + "2")
    results.append(sorted(os.listdir(folder)))
    results.append([error(lambda: os.stat(path)), error(lambda: os.unlink(path)), error(lambda: open(path)),
                    error(lambda: os.mkdir(folder)), error(lambda: os.listdir(path)), error(lambda: os.open("", 0))])
    os.symlink("file2", path)
    results.append([os.readlink(path), os.path.getsize(path) == len(data), os.lstat(path).st_size])
    results.append(error(lambda: os.read(os.open(folder, os.O_RDONLY), 1)))
    shutil.rmtree(folder)
    results.append(os.path.exists(folder))
    return results
'''


def test_files(daemon):
    same(daemon, FILES)


SYNC = '''
import os, tempfile


def scene():
    with tempfile.TemporaryFile(dir="/var/tmp") as f:
        def write():
            for _ in range(5):
                f.write(bytes(4000000))
                f.flush()
                os.fsync(f.fileno())
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                f.seek(0)
                f.read()
        return beats(write) > 5
'''


def test_cold_and_sync(daemon):
    """The others go on while a file is written, synced, and read again from the disk."""
    assert same(daemon, SYNC)


