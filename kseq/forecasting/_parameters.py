"""Parameters of an estimator by scikit-learn's conventions, which need not be installed."""

import inspect
from typing import Any, Self

from kseq.data import READING_OPTIONS
from kseq.naming import unknown
from kseq.vocabulary import ALIASES, INSTEAD, NEGATIONS


class Parameters:
    """What scikit-learn's ``clone``, ``get_params`` and ``GridSearchCV`` ask of an estimator."""

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {name: parameter.default for name, parameter in inspect.signature(cls).parameters.items()}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name.

        Args:
            deep: There are no estimators inside, so that it changes nothing.
        """
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Raises:
            ConfigError: An unknown name.
        """
        known = self._defaults()
        own = {name: params.pop(name) for name in known if name in params}
        for name, value in {**own, **renamed(params, known)}.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """The call that makes it, without defaults."""
        changed = [f"{name}={getattr(self, name)!r}" for name, default in self._defaults().items()
                   if repr(getattr(self, name)) != repr(default)]  # fmt: skip
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator before it clones and scores it, as ``GridSearchCV`` does."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False), input_tags=InputTags(allow_nan=True))


def renamed(others: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Parameters by their own names, of those that are given by the names of the command's options."""
    own = {**ALIASES, **NEGATIONS, "seeds": "n_seeds", "first_seed": "seed"}
    wrong = [name for name in others if own.get(name) not in known]
    if wrong:
        reading = dict.fromkeys(
            READING_OPTIONS, f"it says how a frame is read: Forecaster(...).fit(df, {wrong[0]}=...)"
        )
        instead = {**INSTEAD, **{name: said for name, said in reading.items() if name not in known}}
        raise unknown(wrong, [*known, *(name for name, to in own.items() if to in known)], "kseq.Forecaster", instead)
    return {own[name]: not value if name.startswith("no_") else value for name, value in others.items()}
