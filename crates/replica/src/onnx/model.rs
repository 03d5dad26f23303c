//! A loaded model, and the steps from a request to its reply: read and check, run, write.

use std::time::Instant;

use http::header::CONTENT_ENCODING;
use ort::value::DynValue;

use super::{
    decode::{self, Array},
    encode, inflate,
    oip::{self, Infer, Names, Route},
    pace::{Pace, QUICK},
    rows::{Rows, elements},
    session::Sessions,
    signature::Signature,
};
use crate::{
    exchange::{Name, Reply, Request},
    predictor::PredictError,
};

/// Elements of an answer: some 20 bytes of JSON each, and what Python predictors may answer is a gigabyte.
const MOST_ANSWERED: usize = 48 << 20;

pub(super) struct Model {
    pub(super) sessions: Sessions,
    pub(super) signature: Signature,
    pub(super) names: Names,
    pub(super) pace: Pace,
    /// Longest body, in bytes, compressed or not.
    pub(super) body_limit: usize,
}

/// How the caller wants the answer.
#[derive(Debug)]
pub(super) enum Form {
    Plain,
    Infer(Infer),
}

impl Model {
    /// All steps, on this thread.
    pub(super) fn answer(&self, request: &Request) -> Result<Reply, PredictError> {
        let run = |arrays| Some(self.sessions.run(&self.signature.inputs, arrays));
        self.steps(request, run).unwrap_or(Err(PredictError::Died))
    }

    /// [`Self::answer`], unless all sessions are busy for longer than a thread that reads connections may wait.
    pub(super) fn answer_at_once(&self, request: &Request) -> Option<Result<Reply, PredictError>> {
        self.steps(request, |arrays| self.sessions.run_within(QUICK, &self.signature.inputs, arrays))
    }

    fn steps(
        &self,
        request: &Request,
        run: impl FnOnce(Vec<Array>) -> Option<ort::Result<Vec<DynValue>>>,
    ) -> Option<Result<Reply, PredictError>> {
        let begun = Instant::now();
        let outcome = match self.read(request) {
            Ok((arrays, form)) => {
                let name = request.name();
                match run(arrays)? {
                    Ok(values) => self.write(&name, &form, &values, &Rows::ALL),
                    Err(error) => Err(failed(&name, &error)),
                }
            }
            Err(refused) => Err(refused),
        };
        self.pace.note(request.body.len(), begun);
        Some(outcome)
    }

    /// One array per input, as the signature has them.
    pub(super) fn read(&self, request: &Request) -> Result<(Vec<Array>, Form), PredictError> {
        let route = oip::route(request.head.uri.path(), &self.names).transpose().map_err(PredictError::NotFound)?;
        let encoding = request.header(CONTENT_ENCODING.as_str());
        let body = inflate::inflate(&request.body, encoding, self.body_limit).map_err(PredictError::BadRequest)?;
        match route {
            None => {
                let arrays = decode::arrays(&body, &self.signature).map_err(PredictError::BadRequest)?;
                Ok((arrays, Form::Plain))
            }
            Some(Route::Infer) => {
                let json_length = request.header(oip::JSON_LENGTH);
                let mut infer = oip::parse(&body, json_length, &self.signature).map_err(PredictError::BadRequest)?;
                Ok((std::mem::take(&mut infer.arrays), Form::Infer(infer)))
            }
            Some(_) => {
                let path = request.head.uri.path();
                Err(PredictError::NotFound(format!("`{path}` takes GET, not POST")))
            }
        }
    }

    pub(super) fn write(
        &self,
        request: &Name,
        form: &Form,
        values: &[DynValue],
        rows: &Rows,
    ) -> Result<Reply, PredictError> {
        let outputs = &self.signature.outputs;
        let count = elements(outputs, values, rows);
        if count > MOST_ANSWERED {
            let text = format!("the answer has {count} elements; the limit is {MOST_ANSWERED}");
            return Err(PredictError::BadResponse(text));
        }
        let written = match form {
            Form::Plain => encode::answer(outputs, values, rows).map(Reply::json),
            Form::Infer(infer) => self.names.reply(infer, outputs, values, rows),
        };
        written.map_err(|error| failed(request, &error))
    }
}

/// What a caller hears of a run that failed.
pub(super) fn failed(request: &Name, error: &ort::Error) -> PredictError {
    match error.code() {
        ort::ErrorCode::InvalidArgument => PredictError::BadRequest(format!("the model does not take this: {error}")),
        _ => {
            let (request_id, trace_id) = (&request.request_id, request.trace_id());
            tracing::error!(request_id, trace_id, "the model failed: {error}");
            PredictError::Raised { exception: Some("an ONNX Runtime error".to_owned()) }
        }
    }
}
