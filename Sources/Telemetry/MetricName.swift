/// The names on the metrics page, each declared once. Renaming one is a breaking change: dashboards and alerts hold on to it.
///
/// What a metric means and how it is labelled stands beside it in `Metrics.swift`.
package enum MetricName {
    package static let syncRows = "tidemark_sync_rows_total"
    package static let syncLagSeconds = "tidemark_sync_lag_seconds"
    package static let syncLagRows = "tidemark_sync_lag_rows"
    package static let syncIntervalSeconds = "tidemark_sync_interval_seconds"
    package static let syncRunDurationSeconds = "tidemark_sync_run_duration_seconds"
    package static let syncRuns = "tidemark_sync_runs_total"
    package static let newestEventTimestampSeconds = "tidemark_view_newest_event_timestamp_seconds"
    package static let lastSuccessTimestampSeconds = "tidemark_view_last_success_timestamp_seconds"

    package static let contractViolations = "tidemark_contract_violations_total"
    package static let contractBreaches = "tidemark_contract_breaches_total"
    package static let quarantineEntries = "tidemark_quarantine_entries"

    package static let sweepLastCompletedTimestampSeconds = "tidemark_sweep_last_completed_timestamp_seconds"
    package static let sweepRows = "tidemark_sweep_rows_total"
    package static let sweepIntervalSeconds = "tidemark_sweep_interval_seconds"

    package static let leaseHeld = "tidemark_lease_held"
    package static let leaseLost = "tidemark_lease_lost_total"
    package static let historyBreaks = "tidemark_history_breaks_total"

    package static let breakerState = "tidemark_breaker_state"
    package static let retries = "tidemark_retries_total"
    package static let storeErrors = "tidemark_store_errors_total"
    package static let sourceErrors = "tidemark_source_errors_total"
    package static let sourceHorizonAgeSeconds = "tidemark_source_horizon_age_seconds"

    package static let lookupDurationSeconds = "tidemark_lookup_duration_seconds"
    package static let lookupValues = "tidemark_lookup_values_total"
    package static let httpRequests = "tidemark_http_requests_total"
    package static let grpcRequests = "tidemark_grpc_requests_total"
    package static let httpInFlight = "tidemark_http_requests_in_flight"
    package static let httpConnections = "tidemark_http_connections"
    package static let lookupPlansCompiled = "tidemark_lookup_plans_compiled_total"
    package static let servingReady = "tidemark_serving_ready"
    package static let accessRefusals = "tidemark_access_refusals_total"
    package static let certificateExpiryTimestampSeconds = "tidemark_certificate_expiry_timestamp_seconds"
    package static let adminRequests = "tidemark_admin_requests_total"

    package static let catalogGeneration = "tidemark_catalog_generation"
    package static let catalogAgeSeconds = "tidemark_catalog_age_seconds"
    package static let catalogProblems = "tidemark_catalog_problems"
    package static let admissionLimit = "tidemark_admission_limit"
    package static let admissionInFlight = "tidemark_admission_in_flight"
    package static let admissionRefusals = "tidemark_admission_refusals_total"

    package static let recommendRungs = "tidemark_recommend_rung_total"
    package static let recommendLeftOut = "tidemark_recommend_left_out_total"
    package static let recommendRefused = "tidemark_recommend_refused_total"
    package static let recommendRemembered = "tidemark_recommend_remembered"
    package static let stageDurationSeconds = "tidemark_stage_duration_seconds"
    package static let dependencyCalls = "tidemark_dependency_calls"

    package static let modelLoads = "tidemark_model_loads_total"
    package static let modelRefused = "tidemark_model_refused"
    package static let modelLoaded = "tidemark_model_loaded"
    package static let modelLoadedTimestampSeconds = "tidemark_model_loaded_timestamp_seconds"

    package static let recallListNewestEventTimestampSeconds = "tidemark_recall_list_newest_event_timestamp_seconds"
    package static let recallListItems = "tidemark_recall_list_items"
    package static let recallListVersion = "tidemark_recall_list_version"
    package static let recallListRefused = "tidemark_recall_list_refused"
    package static let recallBuildTimestampSeconds = "tidemark_recall_build_timestamp_seconds"
    package static let recallBuildDurationSeconds = "tidemark_recall_build_duration_seconds"
    package static let recallBuildRows = "tidemark_recall_build_rows"

    package static let config = "tidemark_config_info"
    package static let configReloads = "tidemark_config_reloads_total"
    package static let configGeneration = "tidemark_config_generation"
    package static let configWaitsForRestart = "tidemark_config_waits_for_restart"
    package static let build = "tidemark_build_info"
    package static let logLinesDropped = "tidemark_log_lines_dropped_total"
    package static let seriesRefused = "tidemark_metric_series_refused_total"

    package static let processCPUSeconds = "process_cpu_seconds_total"
    package static let processResidentMemoryBytes = "process_resident_memory_bytes"
    package static let processOpenFDs = "process_open_fds"
    package static let processMaxFDs = "process_max_fds"
    package static let processStartTimeSeconds = "process_start_time_seconds"
}
