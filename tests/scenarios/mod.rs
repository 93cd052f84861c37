mod cold_start;
mod commands;
mod crash;
mod demo;
mod examples;
mod operation;
mod slow_target;
