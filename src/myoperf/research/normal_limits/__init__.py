"""How the shipped normal limits are made from simulated normal patients.

CZT SPECT and Rb-82 PET: `recipe`. Tc-99m SPECT with a conventional camera, from full physics, by commands::

    myoperf simulate 60 -o normals/part-1 --normal --male 0.5 --gates 1 --seed 20271
    myoperf simulate 60 -o normals/part-2 --normal --male 0.5 --gates 1 --seed 20275
    myoperf normals build normals -o LIMITS --name simulated-tc99m --version '3 (simulator 3)' --tracer Tc-99m
"""
