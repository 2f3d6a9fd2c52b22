"""Write three exports of one part, as three stations of a factory would: python messy_tables.py."""

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)


def parts(count, first):
    """Return measured parts: torque, temperature, material; and what is wrong with each."""
    steel = rng.random(count) < 0.6
    torque = rng.normal(np.where(steel, 12.5, 9.0), 1.5)
    temperature = rng.normal(180, 12, count)
    surface = np.where(temperature > 190, "scratch", np.where(torque > 14, "dent", "clean"))
    defect = np.where(temperature > 188, "crack", np.where(torque < 8, "warp", "none"))
    return pd.DataFrame(
        {
            "serial": [f"SN-{first + i:05d}" for i in range(count)],
            "torque": torque.round(2),
            "temperature": temperature.round(1),
            "material": np.where(steel, "steel", "brass"),
            "surface": surface,
            "defect": defect,
        }
    )


# Station A: a German export, with semicolons and decimal commas; some surfaces were not judged.
a = parts(240, 10_000).drop(columns="defect")
a.loc[a.index % 8 == 0, "surface"] = ""
a.to_csv("station_a.csv", sep=";", decimal=",", index=False)

# Station B: a workbook; its parts were judged for defects.
b = parts(200, 20_000).drop(columns="surface")
b.to_excel("station_b.xlsx", sheet_name="Export", index=False)

# Station C: a Japanese OK/NG station, in cp932, with other words for the materials.
c = parts(220, 30_000)
bad = (c["surface"] != "clean") | (c["defect"] != "none")
judged = np.where(bad, "NG", np.where(c.index % 3 == 0, "良", "OK"))
c = c.drop(columns=["surface", "defect"]).assign(verdict=judged)
c["material"] = c["material"].map({"steel": "鋼", "brass": "真鍮"})
c.columns = ["シリアル", "トルク", "温度", "材料", "判定"]
c.to_csv("station_c.csv", encoding="cp932", index=False)

# New parts, of which nothing is known yet.
parts(20, 40_000).drop(columns=["surface", "defect"]).to_csv("new_parts.csv", index=False)
