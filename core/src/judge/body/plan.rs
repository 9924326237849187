//! The plan for the bodies of one request: the judge, the meter and the filter that they go through.
//!
//! A host that hands over no bodies refuses a request whose body must be judged.

use std::rc::Rc;

use super::list::ListJudge;
use super::meter::Meter;
use super::meter_rules::MeterRules;
use super::objects::ObjectWatch;
use super::pricing::Pricing;
use super::request::RequestJudge;
use crate::answer::CheckError;
use crate::host::Capabilities;
use crate::judge::admit::Scoped;
use crate::policy::Policy;
use crate::request::RequestHead;
use crate::services::registry::Registry;

/// The parts that the bodies of a request and of its answer go through.
pub(crate) struct BodyPlan {
    /// The judge of the request's body, where it is read.
    pub(crate) judge: Option<RequestJudge>,
    /// The meter, where usage is metered.
    pub(crate) meter: Option<Meter>,
    /// The filter of the answer, where it is a list of models.
    pub(crate) list: Option<ListJudge>,
    /// The watch over objects, where they are judged.
    pub(crate) objects: Option<ObjectWatch>,
    /// Set where a stream of the answer is asked for its usage.
    pub(crate) asks_usage: bool,
}

impl BodyPlan {
    /// Makes the plan; `None` where the bodies are passed on unseen.
    ///
    /// # Errors
    /// A body that must be read, and that cannot be read, or not by this host.
    pub(crate) fn of(
        scoped: &Scoped<'_>,
        head: &RequestHead<'_>,
        host: Capabilities,
        policy: &Policy,
        rules: &Rc<MeterRules>,
        registry: Option<&Rc<Registry>>,
    ) -> Result<Option<Box<Self>>, CheckError<'static>> {
        let Some(rule) = scoped.body() else { return Ok(None) };
        let scanner = rule
            .scanner(head)?
            .filter(|_| host.reads_requests || rule.models.is_some() || rule.objects.is_some());
        if scanner.is_some() && !host.reads_requests {
            return Err(CheckError::BodyUnread);
        }
        let meter = rule.metering.is_some().then(|| {
            let (record, provider) = (scoped.record_arc(), scoped.provider());
            Meter::new(
                rules,
                policy,
                record,
                Pricing::new(rules, provider, &rule.target_models, rule.is_settled),
            )
        });
        let asks_usage = rule.asks_usage() && scanner.is_some();
        let judge = scanner.map(|body| RequestJudge::new(rule, body, head));
        let list = rule.models.as_ref().filter(|_| rule.is_list).map(|models| ListJudge::new(models.clone()));
        let reads_answer = rule.objects.is_some() && rule.reads_answer();
        if (list.is_some() || reads_answer) && !host.edits_answers {
            return Err(CheckError::BodyUnread);
        }
        let objects = rule.objects.as_ref().zip(registry);
        let objects = objects.map(|(objects, registry)| ObjectWatch::new(objects, registry));
        Ok(Some(Box::new(Self { judge, meter, list, objects, asks_usage })))
    }
}
