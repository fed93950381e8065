"""The file that MLflow runs to build the served model ("models from code"): image bytes in, probabilities out.

Nothing is pickled: MLflow stores this file, the package, and the checkpoint folder as they are. The decoder with its
limits and the preprocessing are those of the library.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from defectdistill.data.images import BadImage, decode_image
from defectdistill.predict import Predictor


class ServedStudent(PythonModel):
    """A student that classifies encoded images of any size, mode and common format."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the checkpoint folder that was logged as the artifact `student`."""
        self.predictor = Predictor.load(Path(context.artifacts["student"]))
        self.max_pixels = context.model_config["max_pixels"]

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:
        """Return a row for each of the N encoded images in the column `image` (bytes; base64 in JSON).

        Columns: `class`, `entropy` in nats, and `probability/CLASS` for each class. A bad image refuses the batch with
        a message that names it (status 400).
        """
        # One after the other: of large photographs only one is in memory at its full size.
        images = [self._image(position, data) for position, data in enumerate(model_input["image"])]
        prediction = self.predictor(images)
        probs = {
            f"probability/{name}": prediction.probabilities[:, index]
            for index, name in enumerate(self.predictor.classes)
        }
        return pd.DataFrame({"class": prediction.classes, "entropy": prediction.entropy, **probs})

    def _image(self, position: int, data: bytes) -> np.ndarray:
        try:
            return self.predictor.preprocess(decode_image(data, self.max_pixels))
        except BadImage as error:
            raise MlflowException(f"image {position}: {error}", error_code=INVALID_PARAMETER_VALUE) from error


set_model(ServedStudent())
