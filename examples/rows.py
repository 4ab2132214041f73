"""Some rows of a sheet of basis vectors: `python examples/rows.py SHEET OUT NUMBER...`."""

import sys

from PIL import Image

from floatcli.sheet import CELL, HEAD

if __name__ == "__main__":
    sheet, out, *numbers = sys.argv[1:]
    whole = Image.open(sheet)
    tops = [0, *(HEAD + CELL * int(number) for number in numbers)]
    heights = [HEAD, *[CELL] * len(numbers)]
    chosen = Image.new("RGB", (whole.width, sum(heights)))
    for k, (top, height) in enumerate(zip(tops, heights, strict=True)):
        chosen.paste(whole.crop((0, top, whole.width, top + height)), (0, sum(heights[:k])))
    chosen.resize((chosen.width * 3 // 4, chosen.height * 3 // 4), Image.Resampling.LANCZOS).save(out)
