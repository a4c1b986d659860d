from django.db import migrations

MAKE_ROLE = """
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'settld_app') THEN
    CREATE ROLE settld_app NOLOGIN NOSUPERUSER NOBYPASSRLS;
  END IF;
  IF NOT pg_has_role(current_user, 'settld_app', 'MEMBER') THEN
    EXECUTE format('GRANT settld_app TO %I', current_user);
  END IF;
END $$;
GRANT USAGE ON SCHEMA public TO settld_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO settld_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO settld_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO settld_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO settld_app;
"""


class Migration(migrations.Migration):
    """Make the role that web and workers use: it owns no table and cannot pass row-level security."""

    initial = True
    run_before = [
        ("contenttypes", "0001_initial"),
        ("sessions", "0001_initial"),
        ("otp_totp", "0001_initial"),
        ("axes", "0001_initial"),
    ]
    operations = [migrations.RunSQL(MAKE_ROLE, migrations.RunSQL.noop)]
