//! Is the answer right? The truth is the label in the data set, not what the product said last time.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The label that `digits.csv` (64 pixels and a label per line) has for the one image of `sample.json`.
pub(crate) fn label_of_sample(sample: &str, digits: &str) -> Result<String> {
    let sample: Value = serde_json::from_str(sample).context("the sample is not JSON")?;
    let pixels = sample["pixels"][0].as_array().context("the sample has no `pixels`")?;
    let pixels = pixels.iter().map(Value::to_string).collect::<Vec<_>>().join(",");
    let line = digits.lines().find_map(|line| line.strip_prefix(&pixels)?.strip_prefix(','));
    Ok(line.context("the sample is no image of the data set")?.to_owned())
}

/// A reply has the label of each image, and the score of each label; both must say the same digit.
pub(crate) fn verify(reply: &str, label: &str) -> Result<()> {
    let reply: Value = serde_json::from_str(reply).context("the reply is not JSON")?;
    let scores = reply["scores"][0].as_array().context("the reply has no `scores`")?;
    let score = |place: usize| scores[place].as_f64().unwrap_or(f64::NAN);
    let best = (0..scores.len()).max_by(|a, b| score(*a).total_cmp(&score(*b)));
    let best = best.context("`scores` is empty")?.to_string();
    let said = reply["label"][0].to_string();
    if said != label || best != label {
        bail!("the image shows {label}, but `label` says {said} and the best score is that of {best}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{label_of_sample, verify};

    #[test]
    fn the_label_is_looked_up() {
        let digits = "0,1,2,3\n0,1,5,8\n";
        assert_eq!(label_of_sample(r#"{"pixels": [[0, 1, 5]]}"#, digits).expect("it is the second"), "8");
        assert!(label_of_sample(r#"{"pixels": [[0, 1, 4]]}"#, digits).is_err());
        assert!(label_of_sample(r#"{"pixels": []}"#, digits).is_err());
    }

    #[test]
    fn right_answers_pass() {
        verify(r#"{"label": [1], "scores": [[0.1, 0.9]]}"#, "1").expect("both say 1");
    }

    #[test]
    fn wrong_answers_fail() {
        for reply in [
            r#"{"label": [0], "scores": [[0.1, 0.9]]}"#,
            r#"{"label": [1], "scores": [[0.9, 0.1]]}"#,
            r#"{"label": [1], "scores": [[]]}"#,
            r#"{"label": [1]}"#,
            r#"{"label": ["1"], "scores": [[0.1, 0.9]]}"#,
            "1",
            "",
        ] {
            assert!(verify(reply, "1").is_err(), "{reply}");
        }
    }
}
