//! What a submit changes in a transaction that was prepared before: its options and its
//! `custom_data`. The steps and payloads stay as they were prepared.

use serde_json::{Map, Value};

use crate::model::{Mode, Options, Spec};

use super::{
    custom_data,
    error::BadRequest,
    request::{Request, read_request},
};

/// What a submit carries over what was prepared. Its text is a body of the protocol with these
/// fields alone, so that it is read as any other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// They replace the stored ones field by field.
    pub options: Options,
    /// It replaces a message's; `None` when the submit has none.
    pub custom_data: Option<String>,
}

impl Override {
    /// Whether it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.options.is_empty() && self.custom_data.is_none()
    }

    /// Compact JSON, for [`apply_override`] to read.
    pub fn to_text(&self) -> String {
        // No `..`: an option that is added later must be written here too.
        let Options {
            wait_result,
            timeout_to_fail,
            request_timeout,
            retry_interval,
            retry_limit,
            branch_headers,
            concurrent,
        } = &self.options;
        let headers = branch_headers.as_ref().map(|headers| {
            Value::Object(headers.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect())
        });
        let fields = [
            ("wait_result", wait_result.map(Value::from)),
            ("timeout_to_fail", timeout_to_fail.map(|span| span.as_secs().into())),
            ("request_timeout", request_timeout.map(|span| span.as_secs().into())),
            ("retry_interval", retry_interval.map(|span| span.as_secs().into())),
            ("retry_limit", retry_limit.map(Value::from)),
            ("branch_headers", headers),
            ("concurrent", concurrent.map(Value::from)),
            ("custom_data", self.custom_data.as_deref().map(Value::from)),
        ];
        let said = fields.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?)));
        Value::Object(said.collect::<Map<_, _>>()).to_string()
    }
}

impl Request {
    /// What this submit, if the transaction was prepared before, changes in it: the text that is
    /// stored beside the prepared body. `None` when it carries nothing.
    pub fn overriding(&self) -> Option<String> {
        let custom_data = (!self.custom_data.is_empty()).then(|| self.custom_data.clone());
        let carried = Override { options: self.options.clone(), custom_data };
        (!carried.is_empty()).then(|| carried.to_text())
    }
}

/// `spec` as it is after a submit that carried `text`.
///
/// A saga keeps its `custom_data`: the order of its branches belongs to the branches, and these
/// are the prepared ones.
///
/// # Errors
/// When `text` is not what [`Request::overriding`] made of a submit that was accepted.
pub fn apply_override(mut spec: Spec, text: &str) -> Result<Spec, BadRequest> {
    let carried = read_request(text.as_bytes())?;
    spec.options = carried.options.over(spec.options);
    if spec.mode == Mode::Message && !carried.custom_data.is_empty() {
        spec.delay = custom_data::read(spec.mode, &carried.custom_data)?.delay;
        spec.custom_data = carried.custom_data;
    }
    let saga_concurrent = match spec.mode {
        Mode::Saga => custom_data::read(spec.mode, &spec.custom_data)?.concurrent,
        Mode::Message | Mode::Tcc | Mode::Xa | Mode::Workflow => false,
    };
    spec.concurrent = saga_concurrent || spec.options.concurrent == Some(true);
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        model::Gid,
        wire::{Limits, read_stored},
    };

    use super::*;

    fn after(prepare: &str, submit: &str) -> Spec {
        let text = read_request(submit.as_bytes()).unwrap().overriding();
        read_stored(prepare.as_bytes(), text.as_deref(), &Gid::new("g").unwrap()).unwrap()
    }

    #[test]
    fn a_submit_that_carries_nothing_leaves_no_text() {
        for submit in [
            r#"{"gid":"g","trans_type":"msg"}"#,
            r#"{"custom_data":null,"branch_headers":{},"retry_interval":0,"wait_result":null}"#,
            r#"{"custom_data":"","steps":[{}],"payloads":[""]}"#,
        ] {
            assert_eq!(read_request(submit.as_bytes()).unwrap().overriding(), None, "{submit}");
        }
    }

    #[test]
    fn the_text_is_compact_and_read_back_whole() {
        let submit = r#"{"wait_result":false,"timeout_to_fail":1,"request_timeout":2,
            "retry_interval":3,"retry_limit":4,"branch_headers":{"a\"":"b"},"concurrent":true,
            "custom_data":"{\"delay\":5}"}"#;
        let request = read_request(submit.as_bytes()).unwrap();
        let text = request.overriding().unwrap();
        assert!(!text.contains(['\n', ' ']), "{text}");
        let again = read_request(text.as_bytes()).unwrap();
        assert_eq!(again.options, request.options);
        assert_eq!(again.custom_data, request.custom_data);
    }

    #[test]
    fn a_messages_submit_replaces_what_it_carries_and_keeps_the_rest() {
        let prepare = r#"{"trans_type":"msg","steps":[{"action":"http://a"}],"payloads":["p"],
            "retry_interval":3,"request_timeout":4,"custom_data":"{\"delay\":1}"}"#;
        let spec = after(
            prepare,
            r#"{"retry_interval":9,"concurrent":true,"custom_data":"{\"delay\":60}"}"#,
        );
        assert_eq!(spec.options.retry_interval, Some(Duration::from_secs(9)));
        assert_eq!(spec.options.request_timeout, Some(Duration::from_secs(4)));
        assert_eq!(spec.delay, Duration::from_mins(1));
        assert_eq!(spec.custom_data, r#"{"delay":60}"#);
        assert!(spec.concurrent);
        assert_eq!(spec.steps.len(), 1);

        let kept = after(prepare, r#"{"gid":"g","trans_type":"msg"}"#);
        assert_eq!(kept.delay, Duration::from_secs(1));
        assert!(!kept.concurrent);
        assert!(
            !after(
                &prepare.replace("msg\",", "msg\",\"concurrent\":true,"),
                r#"{"concurrent":false}"#
            )
            .concurrent
        );
    }

    #[test]
    fn a_sagas_submit_keeps_the_prepared_orders() {
        let prepare = r#"{"trans_type":"saga","steps":[{},{}],"payloads":["",""],
            "custom_data":"{\"concurrent\":true,\"orders\":{\"1\":[0]}}"}"#;
        let spec = after(prepare, r#"{"retry_limit":2,"custom_data":"{\"orders\":{\"9\":[8]}}"}"#);
        assert_eq!(spec.options.retry_limit, Some(2));
        assert_eq!(spec.orders.before(1), [0]);
        assert!(spec.concurrent);
    }

    #[test]
    fn limits_are_not_asked_again_of_what_is_stored() {
        let gid = Gid::new("g").unwrap();
        let body = br#"{"trans_type":"msg","steps":[{},{}],"payloads":["",""]}"#;
        let request = read_request(body).unwrap();
        assert_eq!(
            request.into_spec(gid.clone(), &Limits { steps_max: 1 }),
            Err(BadRequest::TooManySteps { steps: 2, steps_max: 1 })
        );
        assert_eq!(read_stored(body, None, &gid).unwrap().steps.len(), 2);
    }
}
