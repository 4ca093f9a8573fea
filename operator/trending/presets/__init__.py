"""Ready-made targets: a score table, its slice and the query that computes it, by name."""

from trending.presets.audius import Input
from trending.presets.preset import Preset, PresetError, UnknownPreset, UnknownTimeRange, known_presets, load_preset

__all__ = ["Input", "Preset", "PresetError", "UnknownPreset", "UnknownTimeRange", "known_presets", "load_preset"]
