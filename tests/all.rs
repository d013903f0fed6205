mod fact;
mod fact_recorded;
