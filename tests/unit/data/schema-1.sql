BEGIN TRANSACTION;
CREATE TABLE mailrouting_health (
            account_id TEXT PRIMARY KEY,
            health TEXT NOT NULL
        );
CREATE TABLE mailrouting_intake (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            account_id TEXT NOT NULL,
            identity_version INTEGER NOT NULL,
            fingerprint TEXT NOT NULL,
            delivery TEXT NOT NULL,
            content TEXT NOT NULL,
            size INTEGER NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            stored_at INTEGER NOT NULL,
            received_at INTEGER,
            next_attempt_at INTEGER,
            claim_token INTEGER NOT NULL DEFAULT 0,
            claimed_by TEXT,
            claimed_until INTEGER,
            failure TEXT,
            outcome_kind TEXT,
            outcome TEXT,
            envelope TEXT,
            UNIQUE (account_id, fingerprint, identity_version)
        );
INSERT INTO "mailrouting_intake" VALUES(1,'support',1,'f136b4da24697da15e7182cec4d451d4b9f0f0183a3aa7a18413cda61370290f','e0f8378b0cfed6d6f72850b8a891ec085218b90ee3460d8e2e1f8d93119734d5','14095afcab2ef44549c3c9590b41175e365d41f734493cecc68ac875eaaddff9',39,'done',1,1772366400000000,NULL,NULL,1,'worker',NULL,NULL,'created','{"kind":"created","reason":"a new matter","ticket":"T1","entry":null,"duplicate_of":null,"responded":false,"trace":[]}',NULL);
INSERT INTO "mailrouting_intake" VALUES(2,'support',1,'12cde05a309502d4d95e8f4712b24f0d5b0f4af5d8025ece813cb099b1416071','f0f58d2fe39cf0a2be7097189d77b78cc8e36145b1c58940b727aa261281f377','01aecdd61f12869bd18281793f310641158434b60c700adc25a2469a5310d31e',39,'waiting',1,1772366400000000,NULL,1772366409000000,1,'worker',NULL,'["prepare","OSError","the scanner is away"]',NULL,NULL,NULL);
INSERT INTO "mailrouting_intake" VALUES(3,'support',1,'c19fb6bfedbdfc2262c1063fe4fb398c1d813c5ae845de6a9ba35c276f8da827','c5de1860f89e9f6e601904ddffc4ad69144a876e92ae9d16202de6b56d50e620','ffa41a0d557c275d47d128e7574968a246e05934ce475de447df8c8c755fe997',39,'claimed',1,1772366400000000,NULL,NULL,1,'worker',1772366460000000,NULL,NULL,NULL,NULL);
INSERT INTO "mailrouting_intake" VALUES(4,'support',1,'e886f221998f2ba67fe3315761924d75d2acd227998f7e8a4fcb1dc6bdda5f00','47e344dd1ff67cf9c7b15cafa2f95557ed3d35c556a8d7547a304eada1d2623c','27094017d9f8452ea26c5e34789d8ffdf8a5e01d18e71290c029b2ae0f7bf459',39,'waiting',0,1772366400000000,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE mailrouting_mailbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            account_id TEXT NOT NULL,
            protocol TEXT NOT NULL,
            folder TEXT NOT NULL,
            lease_token INTEGER NOT NULL DEFAULT 0,
            lease_owner TEXT,
            lease_expires_at INTEGER,
            generation INTEGER,
            uidvalidity INTEGER,
            uidnext INTEGER,
            cutoff INTEGER,
            UNIQUE (account_id, protocol, folder)
        );
INSERT INTO "mailrouting_mailbox" VALUES(1,'support','imap','INBOX',1,NULL,NULL,1,7,1000,NULL);
CREATE TABLE mailrouting_position (
            mailbox_id INTEGER NOT NULL REFERENCES mailrouting_mailbox (id),
            generation INTEGER NOT NULL,
            uid TEXT NOT NULL,
            intake_id INTEGER REFERENCES mailrouting_intake (id),
            acknowledged INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (mailbox_id, generation, uid)
        );
INSERT INTO "mailrouting_position" VALUES(1,1,'1',1,0);
INSERT INTO "mailrouting_position" VALUES(1,1,'2',2,0);
INSERT INTO "mailrouting_position" VALUES(1,1,'3',3,0);
CREATE TABLE mailrouting_raw (
            intake_id INTEGER PRIMARY KEY REFERENCES mailrouting_intake (id),
            raw BLOB NOT NULL
        );
INSERT INTO "mailrouting_raw" VALUES(1,X'4D6573736167652D49443A203C31406578616D706C652E6F72673E0D0A0D0A6D61696C20310D0A');
INSERT INTO "mailrouting_raw" VALUES(2,X'4D6573736167652D49443A203C32406578616D706C652E6F72673E0D0A0D0A6D61696C20320D0A');
INSERT INTO "mailrouting_raw" VALUES(3,X'4D6573736167652D49443A203C33406578616D706C652E6F72673E0D0A0D0A6D61696C20330D0A');
INSERT INTO "mailrouting_raw" VALUES(4,X'4D6573736167652D49443A203C39406578616D706C652E6F72673E0D0A0D0A6D61696C20390D0A');
CREATE TABLE mailrouting_schema (version INTEGER);
INSERT INTO "mailrouting_schema" VALUES(1);
CREATE TABLE mailrouting_thread (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            message_id TEXT NOT NULL,
            ticket TEXT NOT NULL,
            account_id TEXT NOT NULL,
            sent INTEGER NOT NULL,
            UNIQUE (message_id, ticket, account_id, sent)
        );
INSERT INTO "mailrouting_thread" VALUES(1,'1@example.org','T1','support',0);
CREATE INDEX mailrouting_intake_open ON mailrouting_intake (id) WHERE outcome_kind IS NULL;
CREATE INDEX mailrouting_intake_account ON mailrouting_intake (account_id, id);
CREATE INDEX mailrouting_intake_state ON mailrouting_intake (state, id);
CREATE INDEX mailrouting_intake_content ON mailrouting_intake (content, id);
CREATE INDEX mailrouting_position_open
            ON mailrouting_position (mailbox_id, generation) WHERE acknowledged = 0;
CREATE INDEX mailrouting_position_intake ON mailrouting_position (intake_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('mailrouting_mailbox',1);
INSERT INTO "sqlite_sequence" VALUES('mailrouting_intake',4);
INSERT INTO "sqlite_sequence" VALUES('mailrouting_thread',1);
COMMIT;
