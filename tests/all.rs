mod fact;
