"""Processes on one machine that share a model: how they are started, and what each sees of SOFIM's m."""

from sofim_lab.distributed.launch import launch, why_unavailable
from sofim_lab.distributed.parts import Parts, cut
from sofim_lab.distributed.sharded import RankView, sharded_run, whole_run

__all__ = ["Parts", "RankView", "cut", "launch", "sharded_run", "whole_run", "why_unavailable"]
