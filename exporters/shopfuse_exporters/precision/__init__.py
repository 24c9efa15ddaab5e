"""A graph in fp16 or int8: conversion, calibration, sensitivity, what it costs."""
