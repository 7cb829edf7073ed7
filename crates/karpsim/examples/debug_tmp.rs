//! x
use karpsim::api::Scenario; use karpsim::api::scenario::ScenarioText; use std::sync::Arc;
fn main(){
 let name=std::env::args().nth(1).unwrap();
 let text=std::fs::read_to_string("/tmp/c/p.jsonl").unwrap();
 for l in text.lines(){ if l.contains(&format!("\"name\":\"{name}\"")){
  let v:serde_json::Value=serde_json::from_str(l).unwrap();
  let t:ScenarioText=serde_json::from_str(&v["scenario"].to_string()).unwrap();
  let base: karpsim::catalogue::Catalogue=serde_json::from_str(&std::fs::read_to_string(format!("/work/shared/conformance/{}",t.catalogue.file)).unwrap()).unwrap();
  let s=Scenario{name:t.name,kind:t.kind.unwrap(),now:t.now.unwrap(),options:t.options,catalogue:Arc::new(t.catalogue.resolve(Some(&base))),objects:t.objects.0,memory:t.cluster};
  let (p,a)=karpsim::compile::compile(&s);
  for (i,c) in p.pods.classes.iter().enumerate(){ println!("{i} {:?} {:?} sel={:?}",c.volumes,c.raw_requests,c.selector); for alt in &c.volumes.alternatives { for (k,r) in a.requirements(alt.constraint){ println!("   alt {} {:?}",a.key_name(*k),a.get(*r).values.iter().map(|v|a.value_name(*k,v).to_string()).collect::<Vec<_>>()); } } }
  for n in &p.nodes { for (k,r) in a.requirements(n.labels){ println!("   {} {:?}",a.key_name(*k),a.get(*r).values.iter().map(|v|a.value_name(*k,v).to_string()).collect::<Vec<_>>()); } println!("taints {:?} host {:?} {:?} init {} marked {}",p.taints.taints_of(n.taints),n.host_label,n.host,n.initialized,n.marked); println!("{} limits {:?} attached {:?} remaining {:?}",n.name,n.attach_limits,n.attached,n.remaining); }
  println!("{}",serde_json::to_string(&karpsim::decide(&s)).unwrap());
 }}
}
