"""All that commands import, for the process that they are forked from. Nothing is computed: no thread may run yet."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # commands as small as these are no faster with more

import floatcli.batch.run
import floatcli.batch.worker
import floatcli.checkpoint.hub
import floatcli.cli.animate
import floatcli.cli.app
import floatcli.cli.batch
import floatcli.cli.clips
import floatcli.pipeline  # noqa: F401
