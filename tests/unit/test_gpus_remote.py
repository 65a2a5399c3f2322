"""What nvidia-smi prints on another machine is read as an inventory."""

from __future__ import annotations

from jupyter_dlenv.gpus.inventory import GpuState, Link, MigDevice
from jupyter_dlenv.gpus.remote import read_smi

MIB = 1024**2
TEXT = """\
0, GPU-aaaa, NVIDIA H100, 0000:19:00.0, 81559, 20123, 97, 71, 650.12, 700.00, 580.95.05, Disabled
1, GPU-bbbb, NVIDIA H100, 00000000:1A:00.0, 81559, 12, [N/A], 31, [N/A], 700.00, 580.95.05, Enabled
2, [GPU is lost], [Unknown Error], 1B:00.0, [lost], [lost], [lost], [N/A], [N/A], [N/A], 580, [N/A]
dlenv-gpus:
GPU-aaaa, 4711, 19000
GPU-aaaa, 4712, [N/A]
dlenv-gpus:
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbb)
  MIG 1g.10gb     Device  0: (UUID: MIG-cccc)
  MIG 2g.20gb     Device  3: (UUID: MIG-dddd)
dlenv-gpus:
\t\x1b[4mGPU0\tGPU1\tGPU2\tNIC0\tCPU Affinity\x1b[0m
GPU0\t X \tNV18\tSYS\tPXB\t0-31
GPU1\tNV18\t X \tPHB\tNODE\t0-31
GPU2\tSYS\tPHB\t X \tNODE\t0-31
NIC0\tPXB\tNODE\tNODE\t X

Legend:

  X    = Self
"""


def test_gpus_parts_users_and_links_are_read():
    inventory = read_smi(TEXT)

    first, parted, lost = inventory.gpus
    assert ("580.95.05", "GPU-aaaa", 20123 * MIB, 97, 650.12) == (
        *(inventory.driver_version, first.uuid),
        *(first.memory_used, first.utilization, first.power),
    )
    assert [(4711, 19000 * MIB), (4712, None)] == [(p.pid, p.memory) for p in first.processes]
    assert parted.mig_enabled
    assert (
        MigDevice(uuid="MIG-cccc", index=0, name="MIG 1g.10gb"),
        MigDevice(uuid="MIG-dddd", index=3, name="MIG 2g.20gb"),
    ) == parted.mig_devices
    assert (GpuState.ERROR, "") == (lost.state, lost.uuid)
    assert "lost" in lost.error
    assert {(0, 1): Link.NVLINK, (0, 2): Link.SYSTEM, (1, 2): Link.HOST_BRIDGE} == inventory.links


def test_what_is_no_output_of_it_is_no_gpu():
    for text in ("", "sh: 1: nvidia-smi: not found\n", "dlenv-gpus:\n" * 9, "0, 1, 2\n"):
        assert () == read_smi(text).gpus
