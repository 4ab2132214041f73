"""The weights that travel with floatcli, installed as the package ``floatcli.embedded``."""
