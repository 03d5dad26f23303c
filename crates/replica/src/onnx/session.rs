//! ONNX Runtime: the one environment of the process, and the sessions that run a model.
//!
//! `ort::Session::run` takes `&mut self`, because parts of ONNX Runtime are not safe for concurrent runs of one session.
//! So there are as many sessions as requests may run at once (`processes_per_replica`), each with its own
//! `threads_per_process` threads within an operator, and a request takes an idle one. It is held for the run only, not
//! while JSON is read or written.

use std::{
    borrow::Cow,
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use ort::{
    environment::Environment,
    logging::LogLevel,
    session::{Session, SessionInputValue},
    value::{DynValue, Tensor},
};

use super::{
    decode::{Array, Data},
    rows::height,
    signature::{self, Element, Input, Signature},
    stack::stack,
};
use crate::error::Error;

/// ONNX Runtime allows one environment in the life of a process.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// Sessions of one model.
pub(super) struct Sessions {
    here: Mutex<Here>,
    returned: Condvar,
}

#[derive(Default)]
struct Here {
    idle: Vec<Session>,
    /// How many wait for one: to tell nobody is a system call all the same.
    waiting: usize,
}

/// A session on loan.
struct Loan<'a> {
    session: Option<Session>,
    home: &'a Sessions,
}

impl Sessions {
    /// Loads the model `count` times. Slow: not for an async thread.
    pub(super) fn load(
        library: &Path,
        model: &Path,
        name: &str,
        count: u32,
        threads: u32,
    ) -> Result<(Self, Signature), Error> {
        let environment = environment(library)?;
        let failed = |error: ort::Error| Error::LoadModel { model: name.to_owned(), reason: error.to_string() };
        let mut idle = Vec::new();
        for _ in 0..count {
            idle.push(session(&environment, model, threads).map_err(failed)?);
        }
        let first: &Session = &idle[0];
        let signature = Signature::of(first.inputs(), first.outputs())
            .map_err(|reason| Error::UnsupportedModel { model: name.to_owned(), reason })?;
        Ok((Self { here: Mutex::new(Here { idle, waiting: 0 }), returned: Condvar::new() }, signature))
    }

    /// Runs the model on a session that is idle, or will be. Blocks.
    pub(super) fn run(&self, inputs: &[Input], arrays: Vec<Array>) -> ort::Result<Vec<DynValue>> {
        run(self.lend().session(), inputs, arrays)
    }

    /// [`Self::run`] if a session is idle, or will be within `patience`.
    pub(super) fn run_within(
        &self,
        patience: Duration,
        inputs: &[Input],
        arrays: Vec<Array>,
    ) -> Option<ort::Result<Vec<DynValue>>> {
        self.lend_within(patience).map(|mut loan| run(loan.session(), inputs, arrays))
    }

    /// Runs every session once with zeros, so that the first caller does not pay for what is set up lazily. What that gave.
    pub(super) fn warm_up(&self, inputs: &[Input]) -> Option<Vec<DynValue>> {
        let zeros = smallest(inputs);
        let mut values = None;
        for session in &mut self.lock().idle {
            match run(session, inputs, zeros.clone()) {
                Ok(given) => values = Some(given),
                // No fault: the free dimensions of a model may hang together, and its values mean something.
                Err(error) => {
                    tracing::info!("no warm-up: the model does not run on the smallest input of zeros ({error})");
                    return None;
                }
            }
        }
        values
    }

    /// [`Self::warm_up`] for a model whose requests are to be run together; or why they cannot be. Of a model that does not
    /// run on zeros only the signature is known.
    pub(super) fn check_rows(&self, signature: &Signature) -> Result<(), String> {
        signature.check_rows()?;
        let Some(one) = self.warm_up(&signature.inputs) else { return Ok(()) };
        let zeros = smallest(&signature.inputs);
        let two = run(self.lend().session(), &signature.inputs, stack(&[zeros.clone(), zeros]))
            .map_err(|error| signature::together(&format!("the model runs on one row and not on two ({error})")))?;
        let mut outputs = signature.outputs.iter().zip(one.iter().zip(&two));
        let odd = outputs.find(|(output, (one, two))| (height(output, one), height(output, two)) != (Some(1), Some(2)));
        odd.map_or(Ok(()), |(output, _)| {
            let text = format!("its output `{}` does not have a row for each row of its inputs", output.name);
            Err(signature::together(&text))
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lend(&self) -> Loan<'_> {
        loop {
            if let Some(loan) = self.lend_within(Duration::from_secs(60)) {
                return loan;
            }
        }
    }

    fn lend_within(&self, patience: Duration) -> Option<Loan<'_>> {
        let mut here = self.lock();
        if here.idle.is_empty() {
            here.waiting += 1;
            let waited = self.returned.wait_timeout_while(here, patience, |here| here.idle.is_empty());
            here = waited.unwrap_or_else(PoisonError::into_inner).0;
            here.waiting -= 1;
        }
        here.idle.pop().map(|session| Loan { session: Some(session), home: self })
    }
}

impl Loan<'_> {
    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a loan has its session until it is dropped")
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut here = self.home.lock();
        here.idle.extend(self.session.take());
        if here.waiting > 0 {
            self.home.returned.notify_one();
        }
    }
}

fn run(session: &mut Session, inputs: &[Input], arrays: Vec<Array>) -> ort::Result<Vec<DynValue>> {
    let named = inputs.iter().zip(arrays);
    let values = named
        .map(|(input, array)| Ok((Cow::from(input.name.as_str()), value(array)?)))
        .collect::<ort::Result<Vec<(Cow<'_, str>, SessionInputValue<'_>)>>>()?;
    Ok(session.run(values)?.into_iter().map(|(_, value)| value).collect())
}

/// The process's environment, made on first use; its messages become log lines.
fn environment(library: &Path) -> Result<Environment, Error> {
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*environment {
        return Ok(environment.clone());
    }
    let failed = |reason: String| Error::LoadRuntime { path: library.to_owned(), reason };
    let made = ort::init_from(library)
        .map_err(|error| failed(error.to_string()))?
        .with_name("cortex")
        .with_telemetry(false)
        .with_logger(Arc::new(|level, _, _, _, message: &str| match level {
            LogLevel::Error | LogLevel::Fatal => tracing::error!(target: "onnxruntime", "{message}"),
            LogLevel::Warning => tracing::warn!(target: "onnxruntime", "{message}"),
            _ => tracing::debug!(target: "onnxruntime", "{message}"),
        }))
        .build()
        .map_err(|error| failed(error.to_string()))?;
    made.set_log_level(LogLevel::Warning);
    Ok(environment.insert(made).clone())
}

fn session(environment: &Environment, model: &Path, threads: u32) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_intra_threads(threads as usize)?
        // Idle threads that spin take the cores from the other replicas of the machine.
        .with_intra_op_spinning(false)?
        .commit_from_file(model)
}

fn value(array: Array) -> ort::Result<SessionInputValue<'static>> {
    let shape = array.shape;
    Ok(match array.data {
        Data::Bool(data) => Tensor::from_array((shape, data))?.into(),
        Data::F16(data) => Tensor::from_array((shape, data))?.into(),
        Data::F32(data) => Tensor::from_array((shape, data))?.into(),
        Data::F64(data) => Tensor::from_array((shape, data))?.into(),
        Data::I8(data) => Tensor::from_array((shape, data))?.into(),
        Data::I16(data) => Tensor::from_array((shape, data))?.into(),
        Data::I32(data) => Tensor::from_array((shape, data))?.into(),
        Data::I64(data) => Tensor::from_array((shape, data))?.into(),
        Data::U8(data) => Tensor::from_array((shape, data))?.into(),
        Data::U16(data) => Tensor::from_array((shape, data))?.into(),
        Data::U32(data) => Tensor::from_array((shape, data))?.into(),
        Data::U64(data) => Tensor::from_array((shape, data))?.into(),
        Data::Text(data) => Tensor::from_string_array((shape, data.as_slice()))?.into(),
    })
}

fn smallest(inputs: &[Input]) -> Vec<Array> {
    inputs.iter().map(|input| zeros(input, input.smallest())).collect()
}

fn zeros(input: &Input, shape: Vec<usize>) -> Array {
    let count = shape.iter().product();
    let data = match input.element {
        Element::Bool => Data::Bool(vec![false; count]),
        Element::F16 => Data::F16(vec![half::f16::ZERO; count]),
        Element::F32 => Data::F32(vec![0.0; count]),
        Element::F64 => Data::F64(vec![0.0; count]),
        Element::I8 => Data::I8(vec![0; count]),
        Element::I16 => Data::I16(vec![0; count]),
        Element::I32 => Data::I32(vec![0; count]),
        Element::I64 => Data::I64(vec![0; count]),
        Element::U8 => Data::U8(vec![0; count]),
        Element::U16 => Data::U16(vec![0; count]),
        Element::U32 => Data::U32(vec![0; count]),
        Element::U64 => Data::U64(vec![0; count]),
        Element::Text => Data::Text(vec![String::new(); count]),
    };
    Array { shape, data }
}
