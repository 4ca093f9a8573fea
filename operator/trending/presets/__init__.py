"""Ready-made targets: a score table, its slice and the query that computes it, by name."""

from trending.presets.preset import Preset, PresetError, UnknownPreset, UnknownTimeRange, known_presets, load_preset

__all__ = ["Preset", "PresetError", "UnknownPreset", "UnknownTimeRange", "known_presets", "load_preset"]
