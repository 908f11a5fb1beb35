BEGIN TRANSACTION;
CREATE TABLE attempts (
            request_seq INTEGER NOT NULL REFERENCES requests (seq) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            provider TEXT NOT NULL,
            model TEXT NOT NULL,
            started REAL NOT NULL,
            seconds REAL NOT NULL,
            status INTEGER,
            outcome TEXT NOT NULL,
            error TEXT,
            detail TEXT,
            input_tokens INTEGER,
            output_tokens INTEGER,
            cache_read_tokens INTEGER,
            cache_write_tokens INTEGER,
            cache_write_1h_tokens INTEGER,
            reasoning_tokens INTEGER,
            cost_microusd INTEGER,
            PRIMARY KEY (request_seq, number)
        ) WITHOUT ROWID
    ;
INSERT INTO "attempts" VALUES(1,0,'openai','gpt-5-mini',1795000000.1,0.2,529,'failure','UpstreamBusy','529 overloaded_error',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "attempts" VALUES(1,1,'anthropic','claude-haiku-4-5',1795000000.4,2.0,200,'success',NULL,NULL,1200,80,1000,100,NULL,10,1700);
CREATE TABLE details (
            request_seq INTEGER PRIMARY KEY REFERENCES requests (seq) ON DELETE CASCADE,
            trace TEXT NOT NULL,
            losses TEXT NOT NULL,
            prompt TEXT,
            answer TEXT
        );
INSERT INTO "details" VALUES(1,'[{"name":"features","reason":"3 messages, 2 tools, about 300 tokens","score":null,"code":"main_traffic","data":{"input_tokens":300}},{"name":"tier","reason":"score 0.21","score":0.21,"code":"score","data":{}}]','[{"path":"metadata.x","reason":"openai has no place for it"}]',NULL,NULL);
INSERT INTO "details" VALUES(2,'[]','[]',NULL,NULL);
INSERT INTO "details" VALUES(3,'[]','[]','[user] why?','because');
CREATE TABLE requests (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            at REAL NOT NULL,
            ending TEXT NOT NULL,
            status INTEGER NOT NULL,
            tier TEXT,
            served_tier TEXT,
            score REAL,
            reason TEXT,
            provider TEXT,
            model TEXT,
            session TEXT,
            input_tokens INTEGER,
            output_tokens INTEGER,
            cache_read_tokens INTEGER,
            cache_write_tokens INTEGER,
            cache_write_1h_tokens INTEGER,
            reasoning_tokens INTEGER,
            cost_microusd INTEGER,
            baseline_microusd INTEGER,
            baseline TEXT,
            price_version TEXT,
            seconds REAL NOT NULL,
            seconds_to_first_event REAL,
            error TEXT,
            client_format TEXT,
            requested_model TEXT NOT NULL,
            stream INTEGER NOT NULL
        );
INSERT INTO "requests" VALUES(1,'old-1',1795000000.0,'ok',200,'SIMPLE','SIMPLE',0.21,'score','anthropic','claude-haiku-4-5','0a1b/explore',1200,80,1000,100,NULL,10,1700,8500,'anthropic:claude-opus-4-5','2026-11-01+abc',2.5,0.7,NULL,'anthropic_messages','auto',1);
INSERT INTO "requests" VALUES(2,'old-2',1795003600.5,'failed',503,'REASONING',NULL,0.9,'risky_ask',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1.0,NULL,'UpstreamTimeout',NULL,'auto',0);
INSERT INTO "requests" VALUES(3,'old-3',1795090000.0,'cancelled',499,NULL,NULL,NULL,NULL,'openai','gpt-5','s2',50,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,3.0,NULL,NULL,'openai_chat','openai:gpt-5',0);
CREATE TABLE telemetry_migrations (name TEXT PRIMARY KEY, applied REAL NOT NULL) WITHOUT ROWID;
INSERT INTO "telemetry_migrations" VALUES('m001_requests_and_attempts',1.79585602888090872762e+09);
CREATE INDEX requests_at ON requests (at);
CREATE INDEX requests_tier_at ON requests (tier, at) WHERE tier IS NOT NULL;
CREATE INDEX requests_provider_at ON requests (provider, at) WHERE provider IS NOT NULL;
CREATE INDEX requests_session_at ON requests (session, at) WHERE session IS NOT NULL;
CREATE INDEX requests_failed_at ON requests (at) WHERE ending = 'failed';
COMMIT;
