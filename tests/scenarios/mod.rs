mod cold_start;
mod commands;
mod crash;
mod demo;
mod engine_examples;
mod examples;
mod operation;
mod slow_target;
