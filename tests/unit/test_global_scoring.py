import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, DataError, from_frame, panel_from_frame
from kseq.fitting import fit_model
from kseq.forecasting import forecast
from kseq.scoring import evaluate
from tests.unit.test_global_fitting import QUICK, last, shops
